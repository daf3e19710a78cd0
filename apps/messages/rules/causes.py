"""What exactly refuses a message, as its signer or its trial said it, and whether trying again helps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from apps.core.marked_texts import gettext
from apps.core.reasons import COLON, OLD, REFUSED, TEXT, Reason, ReasonKind, code_of, shown_text
from apps.messages.reasons import (
    ESTIMATE,
    EXIT_CODE,
    GAS_LIMIT_HIGH,
    GAS_LIMIT_LOW,
    SIGN_FAILED,
    SIGNED_OTHERWISE,
)
from apps.messages.states import Wait
from apps.wallets.errors import SenderNotGranted
from apps.wallets.rules.policy_words import MESSAGE, barred_read, limit_words
from poolsite.wire.policy_refusals import DAILY, VALUE, LimitRefusal, limit_refusal_read

if TYPE_CHECKING:
    from apps.messages.models import Message

NOT_GRANTED: Final = f"{REFUSED}{SenderNotGranted.code}"
FIRST_FINAL_CODE: Final = 16
"""Exit codes from here on are an actor's own refusal; lower ones (gas, balance, nonce) pass by themselves."""

# What rows without codes say instead
SIGNING_TEXT: Final = "sign message failed: "
ESTIMATE_TEXT: Final = "gas estimate: "
"""Begin stored reasons, as programs of the messager compare them; a headline has its own words for it."""
NOT_GRANTED_TEXT: Final = "is not a wallet of this account"
"""Ends `SenderNotGranted`."""
OTHER_SIGNED_TEXT: Final = "the signer already signed a different message under this id"
OWN_GAS_TEXT: Final = re.compile(r"^\s*(the )?gas limit \d+ (is below|over limit) ")
"""The caller's own gas limit is too small for the message, or larger than a block's."""
EXIT_CODE_TEXT: Final = re.compile(r"^[\w ]+ \((?P<code>\d+)\), ")
"""Begins what `failure_read` makes of a trial."""


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
    """Shown by `shown_text`; empty if nothing was said."""
    cause: Cause | None = None
    """None: it may pass by itself, or nobody knows."""
    rule: str = ""
    """The rule of the signer's policy that it breaks."""


def refusal_read(message: Message) -> Refusal:
    """Read why a message waits out of its row."""
    error: str = message.error
    reason_text = _inner(error, SIGN_FAILED, "reason", begins=SIGNING_TEXT)
    if reason_text is not None or message.wait == Wait.POLICY:
        return signer_words(error if reason_text is None else reason_text, method=int(message.method))
    reason_text = _inner(error, ESTIMATE, "error", begins=ESTIMATE_TEXT)
    trial = error if reason_text is None else reason_text
    cause = _trial_cause(trial) if message.wait == Wait.ESTIMATE else None
    return Refusal(shown_text(trial).removeprefix(ESTIMATE_TEXT).strip(), cause)


def error_words(error: str, *, method: int) -> str:
    """Return a stored reason, a limit of a signer's policy in our words."""
    reason_text = _inner(error, SIGN_FAILED, "reason", begins=SIGNING_TEXT)
    return error if reason_text is None else signer_words(reason_text, method=method).text


def signer_words(reason_text: str, *, method: int) -> Refusal:
    """Read what a signer said of a message of this method, or why it was not asked."""
    limit = limit_refusal_read(reason_text)
    if limit is not None:
        return Refusal(limit_words(limit, method=method), _limit_cause(limit), limit.rule)
    if (what := barred_read(reason_text)) is not None:
        message = MESSAGE.fullmatch(what)
        text = (
            gettext("no rule of the signer's policy allows {what}").format(what=what)
            if message is None
            else gettext("no rule of the signer's policy allows message: {method} to {to}").format(
                method=message["method"], to=message["to"]
            )
        )
        return Refusal(text, Cause.NO_RULE)
    return Refusal(reason_text, _signer_cause(reason_text))


def _has_code(text: str) -> bool:
    """Return whether a text's code says what it is: rows from before got codes that say only that."""
    return code_of(text) not in ("", OLD.code, TEXT.code)


def _inner(text: str, kind: ReasonKind, name: str, *, begins: str) -> str | None:
    """Return the reason within one of this kind; None if the text is of another.

    `begins`: how such a text without a code begins.
    """
    if isinstance(text, Reason) and _has_code(text):
        inner: str | None = text.values[name] if kind.made(text) else None
        return inner
    return text.removeprefix(begins) if text.startswith(begins) else None


def _signer_cause(reason_text: str) -> Cause | None:
    """Return why a signer's refusal stays; None: it may pass by itself, or nobody knows."""
    if _has_code(reason_text):
        is_barred, is_other = code_of(reason_text) == NOT_GRANTED, SIGNED_OTHERWISE.made(reason_text)
    else:
        is_barred, is_other = (
            reason_text.endswith(NOT_GRANTED_TEXT),
            reason_text.startswith(OTHER_SIGNED_TEXT),
        )
    if is_barred:
        return Cause.GRANT
    return Cause.OTHER_SIGNED if is_other else None


def _trial_cause(reason_text: Any) -> Cause | None:
    """Return why a trial fails again; None: it may pass by itself, or nobody knows."""
    one = (
        reason_text.values["one"]
        if isinstance(reason_text, Reason) and COLON.made(reason_text)
        else reason_text
    )
    if _has_code(one):
        is_own_gas = GAS_LIMIT_LOW.made(one) or GAS_LIMIT_HIGH.made(one)
        code = one.values["code"] if EXIT_CODE.made(one) else 0
    else:
        found = EXIT_CODE_TEXT.match(one)
        is_own_gas, code = OWN_GAS_TEXT.match(one) is not None, found["code"] if found else 0
    if is_own_gas:
        return Cause.GAS
    return Cause.ACTOR if int(code) >= FIRST_FINAL_CODE else None


def _limit_cause(limit: LimitRefusal) -> Cause:
    if limit.limit in DAILY:
        return Cause.DAY
    return Cause.LIMIT if limit.limit == VALUE else Cause.FEE
