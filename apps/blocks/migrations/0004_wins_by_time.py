"""Wins are kept for good: those of the last day are found without the others."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("blocks", "0003_f3_restored")]

    operations = [
        migrations.AddIndex(
            model_name="round",
            index=models.Index(
                condition=models.Q(("win_count__gt", 0)), fields=["at"], name="rounds_won_at"
            ),
        )
    ]
