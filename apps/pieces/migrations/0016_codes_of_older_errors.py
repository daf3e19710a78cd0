"""Give the pieces of before the codes of why they wait; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "pieces.bytes_gone": "its bytes are not in the pool's folder for pieces: send them again",
    "pieces.allocation_expired": "{name} expired before the sector was committed: stored without it",
}


def errors_code(apps, schema_editor):
    rows_code(apps.get_model("pieces", "Piece"), "error", TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("pieces", "0015_errors_coded")]

    operations = [migrations.RunPython(errors_code, migrations.RunPython.noop)]
