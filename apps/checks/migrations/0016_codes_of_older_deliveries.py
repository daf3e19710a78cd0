"""Code why older notifications were not delivered; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "checks.too_old": "not sent within 24 hours",
    "checks.see_log": "{error}: see the log",
    "checks.key_changed": "SECRET_KEY has changed: remove the channel and add it again",
    "checks.status": "HTTP status {status}",
    "checks.status_said": "HTTP status {status}: {error}",
    "checks.no_response": "no response: {error}",
    "checks.mail_error": "mail server error: {error}",
    "checks.not_public": "its host has no public address",
    "checks.unexpected": "unexpected response",
    "checks.refused": "refused: {reason}",
}


def errors_code(apps, schema_editor):
    rows_code(apps.get_model("pool_checks", "Notification"), "error", TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("pool_checks", "0015_delivery_errors_coded")]

    operations = [migrations.RunPython(errors_code, migrations.RunPython.noop)]
