"""Give the records of before the codes of what was signed; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "wallets.message": "message: method {method} to {to}",
    "wallets.bytes": "{meta_type}: {count} bytes",
}


def records_code(apps, schema_editor):
    rows_code(apps.get_model("wallets", "SignRecord"), "what", TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wallets", "0004_records_coded")]

    operations = [migrations.RunPython(records_code, migrations.RunPython.noop)]
