"""Why messages wait or have failed, why senders are held up, and why a recovery began."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import ngettext_noop, reason

# Money, fees and limits
NEEDS = reason("messages.needs", gettext_noop("needs {need}, has {balance}"))
GATE = reason("messages.gate", "{base_fee} > {limit}")
HELD = reason("messages.held", gettext_noop("base fee {base_fee} > {limit}"))
HELD_UNTIL = reason(
    "messages.held_until", gettext_noop("base fee {base_fee} > {limit}; sent at epoch {epoch} regardless")
)
BUDGET_SPENT = reason("messages.budget_spent", gettext_noop("none of it is left"))
BUDGET_SHORT = reason("messages.budget_short", gettext_noop("its gas costs more than is left"))
GUARD_ALLOWS = reason(
    "messages.guard_allows", gettext_noop("its gas may cost up to {most}; the guard allows {allowed}")
)
FEE_CAP_LOW = reason(
    "messages.fee_cap_low", gettext_noop("{level} fee cap {cap} aFIL < base fee {needed} aFIL. {where}")
)
MAX_FEE_LOW = reason(
    "messages.max_fee_low",
    gettext_noop(
        "{level} max fee {fee} buys a fee cap of {cap} aFIL for {limit} gas < base fee {needed} aFIL. {where}"
    ),
)
GAS_LIMIT_LOW = reason(
    "messages.gas_limit_low",
    gettext_noop("the gas limit {gas_limit} is below {least}, the cost of storing the message"),
)

# What nodes and actors say of it
ESTIMATE = reason("messages.estimate", gettext_noop("gas estimate: {error}"))
EXIT_CODE = reason("messages.exit_code", "{name} ({code}), {meaning}")
GAS_LIMIT_HIGH = reason(
    "messages.gas_limit_high", gettext_noop("gas estimate:  gas limit {limit} over limit {most}")
)
GIVEN_UP = reason("messages.given_up", gettext_noop("failed after {attempts} attempts: {reason}"))
NO_NODE = reason("messages.no_node", gettext_noop("no node answers: {away}"))

# Signatures and nonces
SIGN_FAILED = reason("messages.sign_failed", gettext_noop("sign message failed: {reason}"))
SIGNED_OTHERWISE = reason(
    "messages.signed_otherwise",
    gettext_noop(
        "the signer already signed a different message under this id, {value} attoFIL to {to}: "
        "push it under another id"
    ),
)
SIGNED_NONCE_HELD = reason(
    "messages.signed_nonce_held",
    gettext_noop(
        "the signer signed it with nonce {nonce}, which {rival} holds: it continues once that has landed"
    ),
)
SIGNED_NONCE_USED = reason(
    "messages.signed_nonce_used",
    gettext_noop(
        "the signer signed it with nonce {nonce}, since used by another message: it will be "
        "signed again at epoch {epoch}"
    ),
)
RIVAL = reason("messages.rival", gettext_noop("message {push_id}"))
RIVAL_IN_POOL = reason("messages.rival_in_pool", gettext_noop("another message ({cid})"))
RIVAL_IN_HEAD = reason("messages.rival_in_head", gettext_noop("a message included in the newest head"))
NONCE_LOST = reason(
    "messages.nonce_lost", gettext_noop("another message of this sender landed with its nonce")
)
NONCE_USED_BY = reason(
    "messages.nonce_used_by", gettext_noop("nonce {nonce} was used by another program's message {taker}")
)
NONCE_USED = reason(
    "messages.nonce_used", gettext_noop("nonce {nonce} was used by another program's message")
)

# How it was given up
CANCELLED = reason("messages.cancelled", gettext_noop("cancelled"))
EXPIRED = reason("messages.expired", gettext_noop("epoch {expire_epoch} has passed"))
BEFORE_THAT = reason("messages.before_that", gettext_noop("{words}; before that: {error}"))
REFUSED = reason("messages.refused", gettext_noop("not approved by {name}"))
REFUSED_AS = reason("messages.refused_as", gettext_noop("not approved by {name}: {reason}"))
UNAPPROVED = reason("messages.unapproved", gettext_noop("nobody approved it within {hours} hours"))

# What holds up a sender
NEVER_FUNDED = reason("messages.never_funded", gettext_noop("the address was never funded"))
UNRECORDED_UNREAD = reason(
    "messages.unrecorded_unread",
    gettext_noop(
        "{sender} sent one of the waiting messages without the pool, which cannot be read: {reason}"
    ),
)
READ_BACK = reason(
    "messages.read_back",
    gettext_noop("{recovery}; messages that {sender} sent since are being read back from the chain"),
)
UNMATCHED = reason(
    "messages.unmatched",
    gettext_noop(
        "messages of this sender that landed but match none here: {count}; decide about them on "
        "the Recovery page"
    ),
)

# Why a recovery began
DATABASE_CHANGED = reason(
    "messages.database_changed", gettext_noop("the database was restored or moved: its {names} changed")
)
DATABASE_OTHER = reason("messages.database_other", gettext_noop("the database is not the one last used here"))
DATABASE_LEFT = reason(
    "messages.database_left",
    gettext_noop("the database is an old one, left for another that the pool has used since"),
)
DATABASE_OLDER = reason(
    "messages.database_older", gettext_noop("the database is an older copy of the one last used here")
)
SENT_UNRECORDED = reason(
    "messages.sent_unrecorded",
    gettext_noop("{sender} sent message {push_id} with nonce {nonce}, of which the database has no record"),
)
SIGNED_UNRECORDED = reason(
    "messages.signed_unrecorded",
    *ngettext_noop(
        "{sender} sent {count} message that the pool signed, of which the database has no record",
        "{sender} sent {count} messages that the pool signed, of which the database has no record",
    ),
)
LANDED_UNRECORDED = reason(
    "messages.landed_unrecorded",
    gettext_noop(
        "a message identical to {push_id}, which is pending here, landed with nonce {nonce}, "
        "of which the database has no record"
    ),
)

# What its timeline says
NONCE_REASSIGNED = reason("messages.nonce_reassigned", gettext_noop("nonce {nonce} reassigned to {transfer}"))
NONCE_FREE = reason("messages.nonce_free", gettext_noop("nonce {nonce} is free"))
REPLACED = reason(
    "messages.replaced",
    gettext_noop("premium {gas_premium} to {gas_premium_gas_premium}, {caps}"),
)
FEE_CAP_RAISED = reason(
    "messages.fee_cap_raised",
    gettext_noop("fee cap {gas_fee_cap} to {gas_fee_cap_gas_fee_cap} attoFIL"),
)
FEES_SET = reason("messages.fees_set", gettext_noop("max fee {max_fee}, fee cap {gas_fee_cap} attoFIL"))
RECOVERED = reason(
    "messages.recovered",
    gettext_noop("missing from the restored database; recovered from the signer's records"),
)
MATCHED = reason("messages.matched", gettext_noop("nonce {nonce}, {cid}, read back after a restore"))
FOUND_ON_CHAIN = reason("messages.found_on_chain", gettext_noop("found on chain with nonce {nonce} as {cid}"))
SENT_OUTSIDE = reason(
    "messages.sent_outside",
    gettext_noop("sent outside the pool with nonce {nonce} as {cid}: not sent again"),
)

# Which rule has it wait for a second person
RULE_METHOD = reason("messages.rule_method", "{name}")
RULE_ANY_METHOD = reason("messages.rule_any_method", gettext_noop("{actor} any method"))
RULE_ANY_MESSAGE = reason("messages.rule_any_message", gettext_noop("any message"))
RULE_ABOVE = reason("messages.rule_above", gettext_noop("{what} above {amount}"))
