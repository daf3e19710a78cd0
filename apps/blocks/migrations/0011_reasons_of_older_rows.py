"""Give rounds and leases of before the codes of their reasons, by this version's texts; in steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "blocks.fault_refused": "the signer refused: {reason}",
    "blocks.epoch_ended": "the epoch ended before the block was signed",
    "blocks.interrupted": "the blocks process or its database stopped before a submission was recorded",
    "blocks.not_mined": "no blocks are made for this miner",
    "blocks.leased_elsewhere": "BLOCK_F3 is 0: another program manages its F3 lease",
    "blocks.no_f3_node": "no node that runs F3 responds",
    "blocks.not_answered": "the node did not respond",
    "blocks.unreadable": "the node's response could not be parsed",
    "blocks.voter_away": (
        "the node that votes for it is unavailable: another may vote from instance {instance} "
        "on"
    ),
    "blocks.instance_unknown": (
        "the database was restored: no node in sync has reported the current instance "
        "yet"
    ),
    "blocks.voters_many": (
        "the database was restored and {count} nodes vote for it: a lease is requested from "
        "instance {instance} on"
    ),
    "blocks.voter_unknown": (
        "the database was restored and a node may vote for it: a lease is requested from instance "
        "{instance} on"
    ),
}


def reasons_code(apps, schema_editor):
    for model in ("Round", "F3Lease"):
        rows_code(apps.get_model("blocks", model), "reason", TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("blocks", "0010_reasons_coded")]

    operations = [migrations.RunPython(reasons_code, migrations.RunPython.noop)]
