from django.db import migrations, models

from apps.core.renamed_migration import RenamedMigration

STATES = [
    ("RUNNING", "Running"),
    ("STALLED", "Stalled"),
    ("AVAILABLE", "Available"),
    ("USED", "Used"),
    ("FAILED", "Failed"),
    ("CANCELLED", "Cancelled"),
]


class Migration(RenamedMigration):
    formerly = "0004_plain_names"

    dependencies = [("proving", "0003_forecast_elsewhere")]

    operations = [
        migrations.RenameField("deadline", "lacks", "unmet_preconditions"),
        migrations.RemoveConstraint("proofattempt", "one_open_attempt_of_each_kind"),
        migrations.AlterField(
            "proofattempt", "state", models.CharField(choices=STATES, default="RUNNING", max_length=16)
        ),
        migrations.RunSQL(
            [
                "UPDATE proving_proofattempt SET state = 'AVAILABLE' WHERE state = 'KEPT'",
                "UPDATE proving_proofattempt SET state = 'USED' WHERE state = 'TAKEN'",
            ],
            [
                "UPDATE proving_proofattempt SET state = 'KEPT' WHERE state = 'AVAILABLE'",
                "UPDATE proving_proofattempt SET state = 'TAKEN' WHERE state = 'USED'",
            ],
        ),
        migrations.AddConstraint(
            "proofattempt",
            models.UniqueConstraint(
                condition=models.Q(state__in=["RUNNING", "STALLED", "AVAILABLE"]),
                fields=("post", "kind"),
                name="one_open_attempt_of_each_kind",
            ),
        ),
    ]
