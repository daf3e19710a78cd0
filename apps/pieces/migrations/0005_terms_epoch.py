"""Until when an allocation or a deal takes a piece; read when its sector is looked for."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pieces", "0004_sectors_ended")]

    operations = [
        migrations.AddField(
            model_name="piece", name="terms_epoch", field=models.BigIntegerField(null=True)
        ),
    ]
