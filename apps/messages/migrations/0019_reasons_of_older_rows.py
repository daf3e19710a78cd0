"""Give the rows of before the codes of their reasons, by the texts of this version; in small steps, repeatable."""

from django.db import migrations

from apps.core.coded_rows import rows_code

TEXTS = {
    "messages.needs": "needs {need}, has {balance}",
    "messages.gate": "{base_fee} > {limit}",
    "messages.held": "base fee {base_fee} > {limit}",
    "messages.held_until": "base fee {base_fee} > {limit}; sent at epoch {epoch} regardless",
    "messages.budget_spent": "none of it is left",
    "messages.budget_short": "its gas costs more than is left",
    "messages.guard_allows": "its gas may cost up to {most}; the guard allows {allowed}",
    "messages.fee_cap_low": "{level} fee cap {cap} aFIL < base fee {needed} aFIL. {where}",
    "messages.max_fee_low": (
        "{level} max fee {fee} buys a fee cap of {cap} aFIL for {limit} gas < base fee {needed} "
        "aFIL. {where}"
    ),
    "messages.gas_limit_low": "the gas limit {gas_limit} is below {least}, the cost of storing the message",
    "messages.estimate": "gas estimate: {error}",
    "messages.gas_limit_high": "gas estimate:  gas limit {limit} over limit {most}",
    "messages.given_up": "failed after {attempts} attempts: {reason}",
    "messages.no_node": "no node answers: {away}",
    "messages.sign_failed": "sign message failed: {reason}",
    "messages.signed_otherwise": (
        "the signer already signed a different message under this id, {value} attoFIL to {to}: "
        "push it under another id"
    ),
    "messages.signed_nonce_held": (
        "the signer signed it with nonce {nonce}, which {rival} holds: it continues once that has "
        "landed"
    ),
    "messages.signed_nonce_used": (
        "the signer signed it with nonce {nonce}, since used by another message: it will be signed "
        "again at epoch {epoch}"
    ),
    "messages.rival": "message {push_id}",
    "messages.rival_in_pool": "another message ({cid})",
    "messages.rival_in_head": "a message included in the newest head",
    "messages.nonce_lost": "another message of this sender landed with its nonce",
    "messages.nonce_used_by": "nonce {nonce} was used by another program's message {taker}",
    "messages.nonce_used": "nonce {nonce} was used by another program's message",
    "messages.cancelled": "cancelled",
    "messages.expired": "epoch {expire_epoch} has passed",
    "messages.before_that": "{words}; before that: {error}",
    "messages.refused": "not approved by {name}",
    "messages.refused_as": "not approved by {name}: {reason}",
    "messages.unapproved": "nobody approved it within {hours} hours",
    "messages.never_funded": "the address was never funded",
    "messages.unrecorded_unread": (
        "{sender} sent one of the waiting messages without the pool, which cannot be read: "
        "{reason}"
    ),
    "messages.read_back": "{recovery}; messages that {sender} sent since are being read back from the chain",
    "messages.unmatched": (
        "messages of this sender that landed but match none here: {count}; decide about them on "
        "the Recovery page"
    ),
    "messages.database_changed": "the database was restored or moved: its {names} changed",
    "messages.database_other": "the database is not the one last used here",
    "messages.database_left": "the database is an old one, left for another that the pool has used since",
    "messages.database_older": "the database is an older copy of the one last used here",
    "messages.sent_unrecorded": (
        "{sender} sent message {push_id} with nonce {nonce}, of which the database has no "
        "record"
    ),
    "messages.signed_unrecorded": [
        "{sender} sent {count} message that the pool signed, of which the database has no record",
        "{sender} sent {count} messages that the pool signed, of which the database has no record",
    ],
    "messages.landed_unrecorded": (
        "a message identical to {push_id}, which is pending here, landed with nonce {nonce}, of "
        "which the database has no record"
    ),
}


def reasons_code(apps, schema_editor):
    for model, field in (("Sender", "error"), ("Message", "error"), ("Recovery", "reason")):
        rows_code(apps.get_model("messages", model), field, TEXTS)
    own = {"messages.unapproved": TEXTS["messages.unapproved"]}
    rows_code(apps.get_model("messages", "MessageApproval"), "reason", own, has_typed=True)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("messages", "0018_reasons_coded")]

    operations = [migrations.RunPython(reasons_code, migrations.RunPython.noop)]
