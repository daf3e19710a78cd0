from django.db import migrations, models


def listed():
    return models.JSONField(db_default=models.Value([], models.JSONField()), default=list)


class Migration(migrations.Migration):
    """A channel's scope, its quiet hours, and the notifications that wait for their end."""

    dependencies = [("pool_checks", "0013_alert_causes")]

    operations = [
        migrations.AddField(model_name="alertchannel", name="only_tenants", field=listed()),
        migrations.AddField(model_name="alertchannel", name="only_miners", field=listed()),
        migrations.AddField(model_name="alertchannel", name="only_checks", field=listed()),
        migrations.AddField(
            model_name="alertchannel",
            name="wait_min",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="alertchannel",
            name="quiet_from",
            field=models.CharField(blank=True, db_default="", default="", max_length=5),
        ),
        migrations.AddField(
            model_name="alertchannel",
            name="quiet_to",
            field=models.CharField(blank=True, db_default="", default="", max_length=5),
        ),
        migrations.AddField(
            model_name="alertchannel",
            name="quiet_zone",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.AddField(
            model_name="alertchannel",
            name="quiet_critical",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="notification",
            name="is_held",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="notification", name="told_in", field=models.UUIDField(null=True)
        ),
        migrations.AlterField(
            model_name="notification",
            name="event",
            field=models.CharField(
                choices=[
                    ("STARTED", "started failing"),
                    ("REPEATED", "still failing"),
                    ("REOPENED", "failing again"),
                    ("WORSENED", "became worse"),
                    ("ACKNOWLEDGED", "acknowledged"),
                    ("UNACKNOWLEDGED", "acknowledgement ended"),
                    ("COMMENTED", "comment"),
                    ("ENDED", "passes again"),
                    ("TEST", "test"),
                    ("SUMMARY", "after quiet hours"),
                ],
                max_length=16,
            ),
        ),
    ]
