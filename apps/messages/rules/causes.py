"""What exactly refuses a message, as its signer or its trial said it, and whether trying again helps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.stored_texts import stored_text
from apps.messages.states import Wait
from poolsite.filecoin.message import METHOD_SEND
from poolsite.wire.policy_refusals import (
    DAILY,
    FEE,
    FEES_PER_DAY,
    NO_RULE,
    PREMIUM,
    PREMIUMS_PER_DAY,
    VALUE,
    VALUE_PER_DAY,
    LimitRefusal,
    limit_refusal_read,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.messages.models import Message

SIGNING: Final = "sign message failed: "
ESTIMATE: Final = "gas estimate: "
"""Begin stored reasons, as programs of the messager compare them; a headline has its own words for it."""
NOT_GRANTED: Final = "is not a wallet of this account"
"""Ends `SenderNotGranted`."""
OTHER_SIGNED: Final = "the signer already signed a different message under this id"
OWN_GAS: Final = re.compile(r"^\s*(the )?gas limit \d+ (is below|over limit) ")
"""The caller's own gas limit is too small for the message, or larger than a block's."""
EXIT_CODE: Final = re.compile(r"^[\w ]+ \((?P<code>\d+)\), ")
"""Begins what `failure_read` makes of a trial."""
FIRST_FINAL_CODE: Final = 16
"""Exit codes from here on are an actor's own refusal; lower ones (gas, balance, nonce) pass by themselves."""


class Cause(StrEnum):
    """Causes of a refusal for which different actions help."""

    LIMIT = "limit"
    """A limit of a rule of the signer's policy on what it sends."""
    FEE = "fee"
    """A limit of such a rule on its gas."""
    DAY = "day"
    """Such a limit on the sum of a day, which begins anew at midnight UTC."""
    NO_RULE = "no_rule"
    """No rule of the signer's policy is for it."""
    GRANT = "grant"
    """Its tenant may not use the address."""
    OTHER_SIGNED = "other_signed"
    """Its signer signed another message under its id."""
    ACTOR = "actor"
    """The actor that it calls would refuse it, as the chain is now."""
    GAS = "gas"
    """Its own gas limit, which its caller chose."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Refusal of a message by its signer or its trial."""

    text: str
    """In the page's language; empty if nothing was said."""
    cause: Cause | None = None
    """None: it may pass by itself, or nobody knows."""
    rule: str = ""
    """The rule of the signer's policy that it breaks."""


LIMITS: Final[dict[str, StrOrPromise]] = {
    VALUE: _("rule “{rule}” allows {allowed}, this moves {amount}"),
    FEE: _("rule “{rule}” allows fees of {allowed}, this may cost {amount}"),
    PREMIUM: _("rule “{rule}” allows a premium of {allowed}, this may pay {amount}"),
    VALUE_PER_DAY: _("rule “{rule}” allows {allowed} a day, with this it would be {amount} today"),
    FEES_PER_DAY: _("rule “{rule}” allows fees of {allowed} a day, with this they may be {amount} today"),
    PREMIUMS_PER_DAY: _(
        "rule “{rule}” allows premiums of {allowed} a day, with this they may be {amount} today"
    ),
}
SENDS: Final = _("rule “{rule}” allows {allowed}, this sends {amount}")


def refusal_read(message: Message) -> Refusal:
    """Read why a message waits out of its row."""
    stored = str(message.error)
    reason_text = stored.removeprefix(SIGNING).removeprefix(ESTIMATE)
    if message.wait == Wait.POLICY or stored.startswith(SIGNING):
        return signer_words(reason_text, method=int(message.method))
    cause = None
    if message.wait == Wait.ESTIMATE:
        found = EXIT_CODE.match(reason_text)
        if found is not None and int(found["code"]) >= FIRST_FINAL_CODE:
            cause = Cause.ACTOR
        elif OWN_GAS.match(reason_text):
            cause = Cause.GAS
    return Refusal(stored_text(reason_text.strip()), cause)


def error_words(error: str, *, method: int) -> str:
    """Return a stored reason in the page's language, a limit of a signer's policy in our words."""
    stored = str(error)
    if stored.startswith(SIGNING):
        return signer_words(stored.removeprefix(SIGNING), method=method).text
    return stored_text(error)


def signer_words(reason_text: str, *, method: int) -> Refusal:
    """Read what a signer said of a message of this method, or why it was not asked."""
    limit = limit_refusal_read(reason_text)
    if limit is not None:
        return Refusal(_limit_text(limit, method=method), _limit_cause(limit), limit.rule)
    before, mark, what = reason_text.partition(NO_RULE)
    if mark and not before:
        return Refusal(
            gettext("no rule of the signer's policy allows {what}").format(what=what), Cause.NO_RULE
        )
    if reason_text.endswith(NOT_GRANTED):
        return Refusal(stored_text(reason_text), Cause.GRANT)
    if reason_text.startswith(OTHER_SIGNED):
        return Refusal(stored_text(reason_text), Cause.OTHER_SIGNED)
    return Refusal(stored_text(reason_text))


def _limit_cause(limit: LimitRefusal) -> Cause:
    if limit.limit in DAILY:
        return Cause.DAY
    return Cause.LIMIT if limit.limit == VALUE else Cause.FEE


def _limit_text(limit: LimitRefusal, *, method: int) -> str:
    text = SENDS if limit.limit == VALUE and method == METHOD_SEND else LIMITS[limit.limit]
    return str(text).format(rule=limit.rule, allowed=limit.allowed, amount=limit.amount)
