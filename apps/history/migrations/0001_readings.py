from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Reading",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("miner", "miner"),
                            ("host", "host"),
                            ("store", "store"),
                            ("wallet", "wallet"),
                            ("gas", "gas"),
                            ("sealing", "sealing"),
                        ],
                        max_length=8,
                    ),
                ),
                ("subject", models.BigIntegerField()),
                ("step", models.DurationField()),
                ("at", models.DateTimeField()),
                ("slot", models.DateTimeField()),
                ("figures", models.JSONField()),
            ],
            options={
                "ordering": ["at"],
                "indexes": [models.Index(fields=["at"], name="readings_by_age")],
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "subject", "step", "at"), name="one_reading_per_step")
                ],
            },
        ),
    ]
