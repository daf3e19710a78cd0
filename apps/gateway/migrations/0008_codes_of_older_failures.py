"""Code why requests to older connections failed; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {"refused.no_answer": ["no answer in time", "channel closed"]}


def failures_code(apps, schema_editor):
    for name in ("SignerConnection", "ProverConnection"):
        rows_code(apps.get_model("gateway", name), "last_failure", TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("gateway", "0007_failures_coded")]

    operations = [migrations.RunPython(failures_code, migrations.RunPython.noop)]
