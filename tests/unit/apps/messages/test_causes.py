"""What refuses a message is read by the codes of its reason; by words only in rows without codes."""

from __future__ import annotations

from typing import Final

import pytest

from apps.core.reasons import OLD, Reason, coded, coded_read, quoted, refused
from apps.gateway.errors import SignerAway, SignerRefused
from apps.messages.models import Message
from apps.messages.reasons import (
    ESTIMATE,
    GAS_LIMIT_HIGH,
    GAS_LIMIT_LOW,
    SIGN_FAILED,
    SIGNED_OTHERWISE,
)
from apps.messages.rules.causes import Cause, Refusal, error_words, refusal_read
from apps.messages.services.estimate_failures import failure_read
from apps.messages.states import Wait
from apps.wallets.errors import SenderNotGranted
from poolsite.wire.policy_refusals import VALUE, LimitRefusal

WORDS: Final = "other words"
NODE_TEXT: Final = "message execution failed (exit=[{}], gas used: 1)\n00: f1a (method 5) -- {} (1)"


def trial(exit_text: str, cause: str = "caller is not the owner") -> Reason:
    return ESTIMATE(error=failure_read(NODE_TEXT.format(exit_text, cause)).text)


def reworded(reason: Reason) -> Reason:
    """Return the same reason as another version may put it."""
    return Reason(WORDS, reason.code, reason.values)


def read(error: str, wait: Wait) -> Refusal:
    return refusal_read(Message(error=error, wait=wait, method=0))


LIMIT: Final = str(LimitRefusal("small", VALUE, "5 FIL", "1 FIL"))
BARRED: Final = refused(SenderNotGranted("f1a"))
OURS: Final[list[tuple[Wait, Reason, Cause | None]]] = [
    (Wait.POLICY, SIGN_FAILED(reason=BARRED), Cause.GRANT),
    (Wait.POLICY, SIGN_FAILED(reason=refused(SignerRefused(LIMIT))), Cause.LIMIT),
    (Wait.POLICY, SIGN_FAILED(reason=refused(SignerRefused("no rule allows f01"))), Cause.NO_RULE),
    (Wait.POLICY, SIGN_FAILED(reason=refused(SignerRefused("the key store is locked"))), None),
    (Wait.POLICY, SIGNED_OTHERWISE(value=5, to="f01"), Cause.OTHER_SIGNED),
    (Wait.SIGNER_AWAY, SIGN_FAILED(reason=refused(SignerAway("f1a"))), None),
    (Wait.ESTIMATE, trial("ErrForbidden(18)"), Cause.ACTOR),
    (Wait.ESTIMATE, trial("SysErrOutOfGas(7)"), None),
    (Wait.ESTIMATE, GAS_LIMIT_LOW(gas_limit=1, least=5), Cause.GAS),
    (Wait.ESTIMATE, GAS_LIMIT_HIGH(limit=6, most=5), Cause.GAS),
    (Wait.FUNDS, trial("ErrForbidden(18)"), None),
]


@pytest.mark.parametrize(("wait", "reason", "cause"), OURS)
def test_a_cause_is_known_by_codes_and_in_old_rows_by_words(
    wait: Wait, reason: Reason, cause: Cause | None
) -> None:
    from_row = coded_read(str(reason), coded(reason))
    assert isinstance(from_row, Reason)
    old = Reason(str(reason), OLD.code, {"text": str(reason)})

    assert [read(one, wait).cause for one in (reason, from_row, str(reason), old)] == [cause] * 4
    assert {read(one, wait).text for one in (reason, from_row, str(reason), old)} == {read(reason, wait).text}


@pytest.mark.parametrize(
    ("wait", "reason", "cause"),
    [
        (Wait.POLICY, SIGN_FAILED(reason=reworded(BARRED)), Cause.GRANT),
        (Wait.POLICY, reworded(SIGN_FAILED(reason=BARRED)), Cause.GRANT),
        (Wait.POLICY, reworded(SIGNED_OTHERWISE(value=5, to="f01")), Cause.OTHER_SIGNED),
        (Wait.ESTIMATE, reworded(trial("ErrForbidden(18)")), Cause.ACTOR),
        (Wait.ESTIMATE, reworded(trial("ErrForbidden(18)", "")), Cause.ACTOR),
        (Wait.ESTIMATE, reworded(GAS_LIMIT_LOW(gas_limit=1, least=5)), Cause.GAS),
        (Wait.ESTIMATE, reworded(GAS_LIMIT_HIGH(limit=6, most=5)), Cause.GAS),
    ],
)
def test_the_words_of_a_coded_reason_decide_nothing(wait: Wait, reason: Reason, cause: Cause) -> None:
    assert read(reason, wait).cause == cause


@pytest.mark.parametrize(
    ("wait", "reason"),
    [
        (Wait.POLICY, SIGN_FAILED(reason=refused(SignerRefused(str(SenderNotGranted("f1a").reason))))),
        (Wait.POLICY, SIGN_FAILED(reason=refused(SignerRefused(str(SIGNED_OTHERWISE(value=5, to="f01")))))),
        (Wait.ESTIMATE, ESTIMATE(error=quoted("ErrForbidden (18), says the node", by="node"))),
        (Wait.ESTIMATE, ESTIMATE(error=quoted("gas limit 6 over limit 5", by="node"))),
    ],
)
def test_another_programs_words_are_not_taken_for_ours(wait: Wait, reason: Reason) -> None:
    assert read(reason, wait).cause is None
    assert read(reason, wait).text == next(iter(reason.values.values()))


def test_lists_say_a_limit_in_our_words_and_other_reasons_as_they_are() -> None:
    limit = SIGN_FAILED(reason=refused(SignerRefused(LIMIT)))

    assert error_words(limit, method=0) == error_words(str(limit), method=0) == read(limit, Wait.POLICY).text
    assert error_words(trial("ErrForbidden(18)"), method=0) == trial("ErrForbidden(18)")
