"""Give miners and roles of before the codes of their reasons, by this version's texts; in steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "miners.creation_refused": "CreateMiner ended with exit code {exit_code}",
    "miners.creation_ended": "CreateMiner was {state}",
    "miners.assigned": "assigned",
    "miners.removed": "removed",
    "miners.removed_from": "removed from {host}",
    "miners.no_holder": "it had no holder",
    "miners.lease_expired": "the lease of {host} expired",
    "miners.taken_over": "its lease expired: {host} took over",
    "miners.failed_over": "failed over",
    "miners.failed_over_to": "failed over to {host}",
    "miners.failed_over_from": "failed over from {host}",
    "miners.combined_on": "combined on {host}",
    "miners.separated": "separated",
    "miners.restored": "the database was restored: another host may have held it since",
}


def reasons_code(apps, schema_editor):
    for model, field in (("Miner", "error"), ("Role", "note")):
        rows_code(apps.get_model("miners", model), field, TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("miners", "0011_reasons_coded")]

    operations = [migrations.RunPython(reasons_code, migrations.RunPython.noop)]
