"""Give wallets and records of before the codes of what went wrong; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "wallets.unregistered": "it could not be registered: the web process' log says why",
    "wallets.unproven": "these keys could not prove themselves: {keys}",
}


def errors_code(apps, schema_editor):
    for model in ("RemoteWallet", "SignRecord"):
        rows_code(apps.get_model("wallets", model), "error", TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("wallets", "0006_errors_coded")]

    operations = [migrations.RunPython(errors_code, migrations.RunPython.noop)]
