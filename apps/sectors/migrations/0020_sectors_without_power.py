"""Sectors on chain to which it gives no power yet count towards a target's most power."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sectors", "0019_seal_proofs_in_use")]

    operations = [
        migrations.AddIndex(
            model_name="sector",
            index=models.Index(
                fields=["miner", "expiration"],
                name="sectors_without_power",
                condition=models.Q(state="PROVING", active=False),
            ),
        ),
    ]
