"""The sectors of a deal are found by its number."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pieces", "0002_deliveries_due")]

    operations = [
        migrations.AddIndex(
            model_name="piece",
            index=models.Index(
                fields=["deal"], name="pieces_by_deal", condition=models.Q(("deal__isnull", False))
            ),
        ),
    ]
