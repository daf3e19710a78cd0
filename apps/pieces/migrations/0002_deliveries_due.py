from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pieces", "0001_tables")]

    operations = [
        migrations.RemoveIndex(model_name="piecedelivery", name="deliveries_waiting"),
        migrations.AddIndex(
            model_name="piecedelivery",
            index=models.Index(
                fields=["id"], name="deliveries_due", condition=models.Q(("state", "WAITING"))
            ),
        ),
    ]
