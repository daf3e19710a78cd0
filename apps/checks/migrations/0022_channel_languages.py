from django.db import migrations, models


class Migration(migrations.Migration):
    """The language in which a channel is told, and the codes of what its notifications tell."""

    dependencies = [("pool_checks", "0021_codes_of_marked_texts")]

    operations = [
        migrations.AddField(
            model_name="alertchannel",
            name="language",
            field=models.CharField(db_default="en", default="en", max_length=16),
        ),
        migrations.AddField(
            model_name="notification",
            name="finding_codes",
            field=models.JSONField(null=True),
        ),
    ]
