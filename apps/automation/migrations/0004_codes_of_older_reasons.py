"""Code the reasons of older rules, by this version's texts; repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "automation.nothing_due": "nothing is due",
    "automation.money_limit": "{spent} were moved today: the daily limit is used up",
    "automation.sectors_limit": "{sectors} extended today: the daily limit is used up",
    "automation.pays_other": (
        "the miner pays to {receiver}, not to {target}: set its beneficiary or change the rule"
    ),
    "automation.balance_short": "{sender} lacks {short} for it and all messages in progress",
    "automation.gas_unknown": "its gas is not known yet",
    "automation.gas_high": "the gas of a sector would cost {gas}, the rule allows {most}",
    "automation.in_progress": "its last message is in progress",
    "automation.not_carried_out": "its message {id} was not carried out",
    "automation.failed_with": "its message {id} failed with exit code {exit_code}",
    "automation.just_landed": "its last message has just landed: it looks again at epoch {epoch}",
    "sectors.would_refuse_it": "the chain would refuse it: {error}",
    "sectors.sector_of": "sector {number}: {error}",
    "sectors.ended_on_chain": "it has already ended on chain",
    "sectors.expires_first": "it expires at epoch {end}, before it could be terminated",
    "sectors.expired": "it has expired",
    "sectors.is_faulty": "it is faulty: extend it once it has recovered",
    "sectors.no_window_yet": "it is not proven yet: extend it after its first window",
    "sectors.expires_then": "it already expires at epoch {expiration}",
    "sectors.claim_short": (
        "claim {claim} lasts only until epoch {last}: extend to that epoch, or drop the claim"
    ),
    "sectors.claim_held": "claim {claim} can be dropped only in the sector's last 30 days",
    "sectors.exited_with": "exit code {exit_code}",
}


def reasons_code(apps, schema_editor):
    for field in ("note", "stopped"):
        rows_code(apps.get_model("automation", "AutoRule"), field, TEXTS)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("automation", "0003_reasons_coded")]

    operations = [migrations.RunPython(reasons_code, migrations.RunPython.noop)]
