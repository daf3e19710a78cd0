"""Give the nodes of before the codes of why they are not read; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "chain.lags": "{lag_epochs} epochs behind the newest head",
    "chain.forked": "at epoch {height} it has {node_tipset}, and the pool follows {pool_tipset}",
}


def errors_code(apps, schema_editor):
    rows_code(apps.get_model("chain", "Node"), "error", TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("chain", "0005_errors_coded")]

    operations = [migrations.RunPython(errors_code, migrations.RunPython.noop)]
