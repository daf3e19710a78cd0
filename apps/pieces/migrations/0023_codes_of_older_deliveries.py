"""Give the deliveries of before the codes of why they failed; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "pieces.unsealed_late": "it was not unsealed in time",
    "pieces.target_malformed": "its address or token is malformed",
}


def errors_code(apps, schema_editor):
    rows_code(apps.get_model("pieces", "PieceDelivery"), "error", TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("pieces", "0022_delivery_errors_coded")]

    operations = [migrations.RunPython(errors_code, migrations.RunPython.noop)]
