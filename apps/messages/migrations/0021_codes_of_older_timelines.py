"""Code the texts of older rules and timelines, by this version's; in small steps, repeatable."""

from importlib import import_module

from django.db import migrations

from apps.core.coded_rows import rows_code

RULES = {
    "messages.rule_above": "{what} above {amount}",
    "messages.rule_any_method": "{actor} any method",
    "messages.rule_any_message": "any message",
}
LINES = {
    "messages.nonce_reassigned": "nonce {nonce} reassigned to {transfer}",
    "messages.nonce_free": "nonce {nonce} is free",
    "messages.replaced": "premium {gas_premium} to {gas_premium_gas_premium}, {caps}",
    "messages.fee_cap_raised": "fee cap {gas_fee_cap} to {gas_fee_cap_gas_fee_cap} attoFIL",
    "messages.fees_set": "max fee {max_fee}, fee cap {gas_fee_cap} attoFIL",
    "messages.recovered": "missing from the restored database; recovered from the signer's records",
    "messages.matched": "nonce {nonce}, {cid}, read back after a restore",
    "messages.found_on_chain": "found on chain with nonce {nonce} as {cid}",
    "messages.sent_outside": "sent outside the pool with nonce {nonce} as {cid}: not sent again",
}
WRITTEN = ("cancelled", "fee raised", "marked bad", "matched", "recovered", "replaced")
"""Events whose text is of `LINES`; of those left out it is a name, an id or a CID."""


def reasons_code(apps, schema_editor):
    event = apps.get_model("messages", "MessageEvent")
    waits = import_module("apps.messages.migrations.0019_reasons_of_older_rows").TEXTS
    rows_code(apps.get_model("messages", "MessageApproval"), "rule", RULES, has_typed=True)
    rows_code(event, "text", RULES, has_typed=True, of={"event": "waits for approval"})
    rows_code(event, "text", waits, of={"event__in": ["attempt failed", "not approved"]})
    rows_code(event, "text", LINES, of={"event__in": WRITTEN})


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("messages", "0020_timelines_coded")]

    operations = [migrations.RunPython(reasons_code, migrations.RunPython.noop)]
