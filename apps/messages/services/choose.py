"""Estimating and signing a sender's batch until what is signed rests on nothing that was left.

A node runs each message of a batch on top of those before it.  If one of those leaves after the estimate
(refused by the signer, over a cap or a budget, or the money does not suffice), the gas of the later ones, and
whether they succeed at all, has to be found again without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.messages.services.estimate import messages_estimated, messages_gated, verdict_plan
from apps.messages.services.sign import messages_signed
from apps.messages.states import Wait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.chain.client import ChainClient
    from apps.messages.models import Message, SharedRules
    from apps.messages.services.estimate import Verdict, Wish
    from apps.messages.services.rounds import Ready, Round
    from poolsite.filecoin.message import SignedMessage

ESTIMATES_AT_MOST: Final = 4
"""Estimates of one batch; what is still unsettled after the last waits for the next round."""

NO_FAILURE: Final = (Wait.QUOTA, Wait.DAILY_BUDGET)
"""Waits without back-off: such a message is looked at again on each head."""

Signatures = dict[str, tuple["Ready", "SignedMessage"]]
"""By id, in the order of their nonces."""


def messages_chosen(
    turn: Round, rows: Sequence[Message], *, client: ChainClient, shared: SharedRules
) -> list[tuple[Ready, SignedMessage]]:
    """Return signed messages in the order of their nonces, and note why the others are left.

    Each was estimated on top of exactly those that are signed before it.
    """
    wishes = messages_gated(turn, rows, client=client, shared=shared)
    signed: Signatures = {}
    verdicts: list[Verdict] = []
    for count in range(ESTIMATES_AT_MOST):
        done = {pk: ready for pk, (ready, _) in signed.items()}
        verdicts = messages_estimated(turn, wishes, done, client=client) if wishes else []
        left = {one.id for one in verdicts if one.has_left}
        firm = _firm(verdicts, left)
        if firm == len(verdicts) or count == ESTIMATES_AT_MOST - 1:
            ready = [one.ready for one in verdicts[:firm] if one.ready is not None]
            refused = messages_signed(turn, ready, signed, client=client)
            left |= refused
            firm = min(firm, _first(verdicts, refused))
        wishes = _settled(turn, verdicts, left, firm)
        if len(wishes) == len(signed):
            break
    _unsettled(turn, verdicts, signed)
    return list(signed.values())


def _first(verdicts: Sequence[Verdict], ids: set[str]) -> int:
    """Return the place of the first of these messages; the number of all if none is among them."""
    return next((at for at, one in enumerate(verdicts) if one.id in ids), len(verdicts))


def _firm(verdicts: Sequence[Verdict], left: set[str]) -> int:
    """Return how many of the first verdicts hold although those of `left` are not sent."""
    first = _first(verdicts, left)
    rests_on_it = any(one.ready is not None or one.wait == Wait.ESTIMATE for one in verdicts[first:])
    return first if rests_on_it else len(verdicts)


def _settled(turn: Round, verdicts: Sequence[Verdict], left: set[str], firm: int) -> list[Wish]:
    """Leave what is decided, and return what is signed or has to be estimated again."""
    again: list[Wish] = []
    for at, verdict in enumerate(verdicts):
        if verdict.ready is not None and verdict.id in left:
            continue  # refused by the signer, which has said why
        if verdict.id not in left and (verdict.ready is not None or at >= firm):
            again.append(verdict.wish)
        else:
            row = verdict.wish.row
            turn.leave(row, verdict.wait, verdict.text, is_failure=verdict.wait not in NO_FAILURE)
            if verdict.is_refused:
                turn.refused[row.pk] = verdict.text
    return again


def _unsettled(turn: Round, verdicts: Sequence[Verdict], signed: Signatures) -> None:
    """Leave for the next round what is signed by no estimate, and count in budgets what is signed only."""
    left = {pk for pk, _, _ in turn.waits}
    turn.budgets.planned.clear()
    for verdict in verdicts:
        if verdict.id in signed:
            verdict_plan(turn, verdict)
        elif verdict.id not in left:
            turn.leave(verdict.wish.row, Wait.NEXT_HEAD)
            turn.has_more = True
