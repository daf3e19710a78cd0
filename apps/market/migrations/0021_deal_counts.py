"""Rows for the counts of deals by miner, client and state."""

import apps.core.fields
import django.db.models.deletion
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [
        ("market", "0020_client_tokens"),
        ("miners", "0012_reasons_of_older_rows"),
    ]

    operations = [
        migrations.CreateModel(
            name="DealCount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("client", apps.core.fields.AddressField(max_length=128)),
                ("state", models.CharField(max_length=16)),
                ("deals", models.BigIntegerField()),
                ("raw_bytes", models.BigIntegerField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("is_new", models.BooleanField(default=True)),
                (
                    "miner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deal_counts",
                        to="miners.miner",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["client"], name="deal_counts_by_client"),
                    models.Index(fields=["miner", "client", "state"], name="deal_counts_by_miner"),
                    models.Index(
                        condition=models.Q(("is_new", True)), fields=["id"], name="deal_counts_new"
                    ),
                ],
            },
        ),
    ]
