"""How long the sector of an allocation or a deal must live; read when its sector is looked for."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pieces", "0005_terms_epoch")]

    operations = [
        migrations.AddField(model_name="piece", name=name, field=models.BigIntegerField(null=True))
        for name in ("term_min", "term_max", "end_epoch")
    ]
