from django.db import migrations, models

COLUMNS = (("sender", "error"), ("message", "error"), ("messageapproval", "reason"), ("recovery", "reason"))
"""In the order in which writers lock these tables."""


class Migration(migrations.Migration):
    dependencies = [("messages", "0017_checked_height_unread")]

    operations = [
        migrations.AddField(
            model_name=model, name=f"{field}_coded", field=models.JSONField(editable=False, null=True)
        )
        for model, field in COLUMNS
    ]
