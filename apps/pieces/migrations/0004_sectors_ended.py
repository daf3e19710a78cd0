"""A piece whose sector has ended has a state of its own."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pieces", "0003_pieces_by_deal")]

    operations = [
        migrations.AlterField(
            model_name="piece",
            name="state",
            field=models.CharField(
                choices=[
                    ("UPLOADING", "Uploading"),
                    ("FETCHING", "Fetching"),
                    ("RECEIVED", "Computing commitment"),
                    ("READY", "Waiting for a sector"),
                    ("PACKED", "In a sector"),
                    ("ACTIVE", "Active"),
                    ("ENDED", "Sector ended"),
                    ("FAILED", "Failed"),
                ],
                default="UPLOADING",
                max_length=16,
            ),
        )
    ]
