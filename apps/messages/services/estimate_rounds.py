"""A sender's next messages, estimated until what is signed rests on nothing that was left.

A node runs each message of a batch on top of those before it.  If one of those leaves after the estimate
(refused by the signer, over a cap or a budget, or the money does not suffice), the gas of the later ones, and
whether they succeed at all, has to be found again without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apps.chain.node.client import ChainClient
from apps.messages.services.candidates import EXTRA_CANDIDATES, Candidate
from apps.messages.services.estimate import Verdict, messages_estimate, verdict_plan
from apps.messages.services.selection import Ready, Selection
from apps.messages.services.sign import selection_sign
from apps.messages.states import PRESSING, Wait
from poolsite.filecoin.message import SignedMessage

ESTIMATES_AT_MOST: Final = 4
"""Estimates of one batch; what is still unsettled after the last waits for the next round."""

BATCHES_MAX: Final = 4
"""Most batches that one selection estimates while budgets keep back all of each, so that a proof does not
wait for hundreds of estimates."""

NO_FAILURE: Final = (Wait.QUOTA, Wait.DAILY_BUDGET)
"""Waits without back-off: such a message is tried again on each head."""

Signatures = dict[str, tuple["Ready", "SignedMessage"]]
"""By id, in the order of their nonces."""


def messages_choose(
    selection: Selection, *, candidates: list[Candidate], client: ChainClient
) -> list[tuple[Ready, SignedMessage]]:
    """Return signed messages in the order of their nonces, and note why the others are left.

    If budgets keep back a whole batch, the next one is estimated at once, as the next head would begin with
    the same messages.  After the last batch, or if they are all that a selection takes, these are postponed,
    and the next head begins behind them.
    """
    over_budget: list[str] = []
    may_hide_others = len(candidates) >= selection.places + EXTRA_CANDIDATES
    for _ in range(BATCHES_MAX):
        noted = len(selection.waits)
        signed = _signed_on_estimates(selection, candidates=candidates, client=client)
        waits = {pk: wait for pk, wait, _ in selection.waits[noted:]}
        rest = [one for one in candidates if one.row.pk not in waits]
        if signed or not waits or not set(waits.values()) <= set(NO_FAILURE):
            return list(signed.values())
        passed = [one.row for one in candidates if waits.get(one.row.pk) == Wait.DAILY_BUDGET]
        over_budget += [row.pk for row in passed if row.priority not in PRESSING]
        candidates, selection.has_more = rest, False
        if not rest:
            break
    if candidates or may_hide_others:
        selection.postponed += over_budget
    return []


def _signed_on_estimates(
    selection: Selection, *, candidates: list[Candidate], client: ChainClient
) -> Signatures:
    """Return one batch's signed messages by id, each estimated on top of exactly those signed before it."""
    signed: Signatures = {}
    verdicts: list[Verdict] = []
    for count in range(ESTIMATES_AT_MOST):
        done = {pk: ready for pk, (ready, _) in signed.items()}
        verdicts = (
            messages_estimate(selection, candidates=candidates, signed=done, client=client)
            if candidates
            else []
        )
        left = {one.id for one in verdicts if one.has_left}
        settled_count = _settled_count(verdicts, left)
        if settled_count == len(verdicts) or count == ESTIMATES_AT_MOST - 1:
            ready = [one.ready for one in verdicts[:settled_count] if one.ready is not None]
            refused = selection_sign(selection, ready=ready, signed=signed, client=client)
            left |= refused
            settled_count = min(settled_count, _first(verdicts, refused))
        candidates = _settled(selection, verdicts, left, settled_count)
        if len(candidates) == len(signed):
            break
    _unsettled(selection, verdicts, signed)
    return signed


def _first(verdicts: Sequence[Verdict], ids: set[str]) -> int:
    """Return the place of the first of these messages; the number of all if none is among them."""
    return next((at for at, one in enumerate(verdicts) if one.id in ids), len(verdicts))


def _settled_count(verdicts: Sequence[Verdict], left: set[str]) -> int:
    """Return how many of the first verdicts hold although those of `left` are not sent."""
    first = _first(verdicts, left)
    are_dependent = any(one.ready is not None or one.wait == Wait.ESTIMATE for one in verdicts[first:])
    return first if are_dependent else len(verdicts)


def _settled(
    selection: Selection, verdicts: Sequence[Verdict], left: set[str], settled_count: int
) -> list[Candidate]:
    """Note why what is decided is left, and return what is signed or has to be estimated again."""
    again: list[Candidate] = []
    for at, verdict in enumerate(verdicts):
        if verdict.ready is not None and verdict.id in left:
            continue  # refused by the signer, which has said why
        if verdict.id not in left and (verdict.ready is not None or at >= settled_count):
            again.append(verdict.candidate)
        else:
            row = verdict.candidate.row
            selection.leave(row, verdict.wait, verdict.text, is_failure=verdict.wait not in NO_FAILURE)
            if verdict.is_refused:
                selection.refused[row.pk] = verdict.text
    return again


def _unsettled(selection: Selection, verdicts: Sequence[Verdict], signed: Signatures) -> None:
    """Postpone to the next round what is signed by no estimate, and count in budgets what is signed only."""
    left = {pk for pk, _, _ in selection.waits}
    selection.budgets.planned.clear()
    for verdict in verdicts:
        if verdict.id in signed:
            verdict_plan(selection, verdict=verdict)
        elif verdict.id not in left:
            selection.leave(verdict.candidate.row, Wait.NEXT_HEAD)
            selection.has_more = True
