from django.db import migrations, models


class Migration(migrations.Migration):
    """Which check explains an alert."""

    dependencies = [("pool_checks", "0012_pagerduty_callbacks")]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="part_of",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
    ]
