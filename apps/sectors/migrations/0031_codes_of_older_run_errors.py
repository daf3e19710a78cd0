"""Give the runs of before the codes of why they wait; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "sectors.sector_faulty": "its sector is faulty: the update waits until it is proven again",
    "sectors.replica_stays": "the data is in, but the old replica is not cleared: {reason}",
}


def errors_code(apps, schema_editor):
    rows_code(apps.get_model("sectors", "PipelineRun"), "error", TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("sectors", "0030_run_errors_coded")]

    operations = [migrations.RunPython(errors_code, migrations.RunPython.noop)]
