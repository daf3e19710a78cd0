"""Why an automatic rule does nothing now, or has switched itself off."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import reason

NOTHING_DUE = reason("automation.nothing_due", gettext_noop("nothing is due"))
MONEY_LIMIT = reason(
    "automation.money_limit", gettext_noop("{spent} were moved today: the daily limit is used up")
)
SECTORS_LIMIT = reason(
    "automation.sectors_limit", gettext_noop("{sectors} extended today: the daily limit is used up")
)
PAYS_OTHER = reason(
    "automation.pays_other",
    gettext_noop("the miner pays to {receiver}, not to {target}: set its beneficiary or change the rule"),
)
BALANCE_SHORT = reason(
    "automation.balance_short",
    gettext_noop("{sender} lacks {short} for it and all messages in progress"),
)
GAS_UNKNOWN = reason("automation.gas_unknown", gettext_noop("its gas is not known yet"))
GAS_HIGH = reason(
    "automation.gas_high", gettext_noop("the gas of a sector would cost {gas}, the rule allows {most}")
)

# What its last message does to the next
IN_PROGRESS = reason("automation.in_progress", gettext_noop("its last message is in progress"))
NOT_CARRIED_OUT = reason("automation.not_carried_out", gettext_noop("its message {id} was not carried out"))
FAILED_WITH = reason(
    "automation.failed_with", gettext_noop("its message {id} failed with exit code {exit_code}")
)
JUST_LANDED = reason(
    "automation.just_landed",
    gettext_noop("its last message has just landed: it looks again at epoch {epoch}"),
)
