"""Sectors of zeros into which data may go are found by their comm_d, those that live longest first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sectors", "0020_sectors_without_power")]

    operations = [
        migrations.AddIndex(
            model_name="sector",
            index=models.Index(
                fields=["miner", "comm_d", "-expiration"],
                name="sectors_to_update",
                condition=models.Q(state="PROVING", active=True, key_comm_r=None),
            ),
        ),
    ]
