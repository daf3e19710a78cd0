"""What a signer's policy said of a message, in our words: a signer says it in English."""

from __future__ import annotations

import re
from typing import Final

from django.utils.translation import gettext_noop as _

from apps.core.marked_texts import gettext
from poolsite.filecoin.message import METHOD_SEND
from poolsite.wire.policy_refusals import (
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

LIMITS: Final = {
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
MESSAGE: Final = re.compile(r"message: (?P<method>\S+) to (?P<to>\S+)")
"""How a signer describes a message of which no rule asks more than its method and receiver."""


def limit_words(limit: LimitRefusal, *, method: int) -> str:
    """Return which limit of a rule a message of this method breaks."""
    text = SENDS if limit.limit == VALUE and method == METHOD_SEND else LIMITS[limit.limit]
    return gettext(text).format(rule=limit.rule, allowed=limit.allowed, amount=limit.amount)


def barred_read(text: str) -> str | None:
    """Return the description of what no rule allows; None if the signer said something else."""
    return text.removeprefix(NO_RULE) if text.startswith(NO_RULE) else None


def policy_words(text: str, *, method: int) -> str:
    """Return why a policy would not sign a message of this method; what is not known here as it was said."""
    limit = limit_refusal_read(text)
    if limit is not None:
        return limit_words(limit, method=method)
    what = barred_read(text)
    if what is None:
        return text
    message = MESSAGE.fullmatch(what)
    if message is None:
        return gettext("no rule allows {what}").format(what=what)
    return gettext("no rule allows message: {method} to {to}").format(
        method=message["method"], to=message["to"]
    )
