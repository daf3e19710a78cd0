from django.db import migrations, models

COLUMNS = (
    ("worker", "last_error"),
    ("storemove", "error"),
    ("storecheck", "error"),
    ("storescan", "error"),
    ("storefinding", "error"),
    ("sealtarget", "reason"),
    ("job", "error"),
    ("sector", "error"),
    ("sectorchange", "error"),
    ("batch", "error"),
    ("sectorcopy", "reason"),
    ("allocationsread", "error"),
    ("workercommand", "error"),
    ("storeattachment", "reason"),
    ("storeevent", "note"),
    ("jobevent", "note"),
)
"""In the order in which writers lock."""


class Migration(migrations.Migration):
    dependencies = [("sectors", "0031_codes_of_older_run_errors")]

    operations = [
        migrations.AddField(
            model_name=model, name=f"{field}_coded", field=models.JSONField(editable=False, null=True)
        )
        for model, field in COLUMNS
    ]
