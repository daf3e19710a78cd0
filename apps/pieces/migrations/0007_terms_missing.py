"""Since when the chain lacks the allocation or deal of a piece: one that lasts ends the piece."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pieces", "0006_terms_of_life")]

    operations = [
        migrations.AddField(
            model_name="piece", name="terms_missing_since", field=models.BigIntegerField(null=True)
        ),
    ]
