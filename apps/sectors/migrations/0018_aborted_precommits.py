"""An aborted sector's deposit stays locked until its pre-commit expires."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sectors", "0017_row_comparisons")]

    operations = [
        migrations.AddIndex(
            model_name="sector",
            index=models.Index(
                fields=["miner", "precommit_epoch"],
                name="sectors_aborted",
                condition=models.Q(state="ABORTED"),
            ),
        ),
    ]
