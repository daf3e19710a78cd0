"""What a sender's next messages may cost, estimated until what is signed rests on nothing that was left.

A node runs each message of a batch on top of those before it.  If one of those leaves after the estimate
(refused by the signer, over a cap or a budget, or the money does not suffice), the gas of the later ones, and
whether they succeed at all, has to be found again without it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.utils.translation import gettext

from apps.messages.models import GasGuard
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.bulk_transitions import messages_advance, publish_message_changes
from apps.messages.services.fees import GUARD, LEVELS, WHERE, FeeChoice, actor_rules_for, fee_choose
from apps.messages.services.guards import GuardChoice, guard_choose
from apps.messages.services.selection import Ready, nonces_for
from apps.messages.services.sign import selection_sign
from apps.messages.services.validate import GAS_FEE_CAP_MIN, shortfall_text
from apps.messages.states import Priority, Wait
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.amounts import AttoFil, fil_format
from poolsite.filecoin.message import BLOCK_GAS_LIMIT, METHOD_SEND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from apps.chain.client import ChainClient, Estimate, GasSpec
    from apps.messages.models import Message, SharedRules
    from apps.messages.services.selection import Selection
    from poolsite.filecoin.message import Message as ChainMessage
    from poolsite.filecoin.message import SignedMessage


ESTIMATES_MAX: Final = 100
"""Different messages in one question about gas."""

ESTIMATES_AT_MOST: Final = 4
"""Estimates of one batch; what is still unsettled after the last waits for the next round."""

NO_FAILURE: Final = (Wait.QUOTA, Wait.DAILY_BUDGET)
"""Waits without back-off: such a message is looked at again on each head."""

Signatures = dict[str, tuple["Ready", "SignedMessage"]]
"""By id, in the order of their nonces."""

FIRST_FINAL_CODE: Final = 16
"""Exit codes from here on are an actor's own refusal; lower ones (gas, balance, nonce) pass by themselves."""

ATTEMPTS_MAX: Final = 8
"""Attempts with such a refusal, some 120 epochs: no fork is as long, so the chain's state makes it so."""

OUTSIDE_KINDS: Final = ("", "create_miner")
"""Purposes whose messages nobody else looks after: sealing and proving judge their own."""

CODE: Final = re.compile(r"(?:exit=\[|exit )(?P<name>\w*)\((?P<code>\d+)\)")

FRAME: Final = re.compile(r"\d\d: \S+ \(method \d+\) -- (?P<text>.*?) \(\d+\)\s*$", re.MULTILINE)

CAUSE: Final = re.compile(r"--> caused by: (?P<text>.*)")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that may be chosen, with what rules and guards say about it."""

    row: Message
    fees: FeeChoice
    guard: GuardChoice

    @property
    def spec(self) -> GasSpec:
        """What the node is asked: the rules' wishes under the guard's cap."""
        limits = [limit for limit in (self.fees.spec.max_fee, self.guard.max_fee) if limit]
        return replace(self.fees.spec, max_fee=min(limits, default=0))

    @property
    def is_capped(self) -> bool:
        """Return whether the guard allows less than the rules do."""
        return bool(self.guard.max_fee) and self.spec.max_fee != self.fees.spec.max_fee


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an estimate means for one message: gas values to sign, or why it is left."""

    candidate: Candidate
    ready: Ready | None = None
    wait: Wait = Wait.NONE
    text: str = ""
    is_counted: bool = False
    """True if the node ran the messages behind it on top of this one."""
    is_refused: bool = False
    """True if an actor refuses it: trying again has an end."""

    @property
    def id(self) -> str:
        """The message's id."""
        return self.candidate.row.pk

    @property
    def has_left(self) -> bool:
        """Return whether the estimates behind it rest on a message that is not sent."""
        return self.is_counted and self.ready is None and self.wait != Wait.QUOTA


def messages_estimate(
    selection: Selection, candidates: Sequence[Candidate], *, signed: Mapping[str, Ready], client: ChainClient
) -> list[Verdict]:
    """Return what the node's estimate means for each message, in order.

    `signed` are the first of them by id: they stay as they are, and the others are estimated on top of them.
    """
    answers = _answers(selection, candidates, signed, client=client)
    selection.budgets.planned.clear()
    verdicts: list[Verdict] = []
    places, balance = selection.places, selection.chain_state.free_balance
    for candidate, answer in zip(candidates, answers, strict=False):  # those beyond the answers wait
        done = signed.get(candidate.row.pk)
        verdict = (
            Verdict(candidate, done, is_counted=True)
            if done is not None
            else _verdict(selection, candidate, answer, places=places, balance=balance)
        )
        if verdict.ready is not None:
            places, balance = places - 1, balance - verdict.ready.cost
            verdict_plan(selection, verdict)
        verdicts.append(verdict)
    return verdicts


def verdict_plan(selection: Selection, verdict: Verdict) -> None:
    """Count a message's gas in the budgets that it falls under."""
    if verdict.ready is not None:
        selection.budgets.plan(verdict.candidate.guard.budgets, _gas_now(selection, verdict.ready.message))


def _verdict(
    selection: Selection, candidate: Candidate, answer: Estimate, *, places: int, balance: int
) -> Verdict:
    """Return whether a message fits into the places and the money that are left."""
    row, message = candidate.row, answer.message
    if places <= 0:
        return Verdict(candidate, None, Wait.QUOTA, is_counted=message is not None)
    if row.value > balance:  # the trial of such a message fails, in the node's words
        lack = shortfall_text(int(row.value), balance)
        return Verdict(candidate, None, Wait.FUNDS, lack, is_counted=message is not None)
    if message is None:
        failure = failure_read(answer.error)
        text = f"gas estimate: {failure.text}"
        return Verdict(candidate, None, Wait.ESTIMATE, text, is_refused=failure.is_final)
    ready = Ready(row, message)
    room = selection.budgets.room(candidate.guard.budgets)
    if (reason := _gas_refusal(message, candidate, base_fee=int(selection.head.base_fee))) is not None:
        wait, text = reason
    elif ready.cost > balance:
        wait, text = Wait.FUNDS, shortfall_text(ready.cost, balance)
    elif room is not None and _gas_now(selection, message) > room:
        wait, text = Wait.DAILY_BUDGET, "its gas costs more than is left"
    else:
        return Verdict(candidate, ready, is_counted=True)
    return Verdict(candidate, None, wait, text, is_counted=True)


def _gas_now(selection: Selection, message: ChainMessage) -> int:
    """Return what a message's whole gas costs at the present base fee: what budgets count."""
    price = min(message.gas_fee_cap, int(selection.head.base_fee) + message.gas_premium)
    return int(message.gas_limit * price)


def candidates_filter(
    selection: Selection, rows: Sequence[Message], *, client: ChainClient, shared: SharedRules
) -> list[Candidate]:
    """Return the messages that pass the gates: base fee, hold, and a budget that is not used up."""
    actors = actor_rules_for(rows, client=client, key=selection.head.key)
    guards = list(GasGuard.objects.order_by("pk"))
    kinds = receiver_kinds({row.to for row in rows}) if any(guard.actor for guard in guards) else {}
    base_fee, height = int(selection.head.base_fee), selection.head.height
    found: list[Candidate] = []
    for row in rows:
        fees = fee_choose(row, sender=selection.sender, actor=actors.get((row.to, row.method)), shared=shared)
        guard = guard_choose(row, guards, receiver=kinds.get(row.to, ""))
        room = selection.budgets.room(guard.budgets)
        if fees.base_fee_gate and base_fee > fees.base_fee_gate and row.priority != Priority.PROOF:
            selection.leave(row, Wait.BASE_FEE_GATE, f"{base_fee} > {fees.base_fee_gate}")
        elif hold := guard.holding(base_fee=base_fee, height=height):
            text = gettext("base fee {base_fee} > {limit}")
            if hold.until:
                text = gettext("base fee {base_fee} > {limit}; sent at epoch {epoch} regardless")
            text = text.format(base_fee=base_fee, limit=hold.base_fee, epoch=hold.until)
            selection.leave(row, Wait.HELD, text)
        elif room is not None and room <= 0:
            selection.leave(row, Wait.DAILY_BUDGET, "none of it is left")
        else:
            found.append(Candidate(row, fees, guard))
    return found


def _answers(
    selection: Selection, chosen: Sequence[Candidate], signed: Mapping[str, Ready], *, client: ChainClient
) -> list[Estimate]:
    """Estimate the gas of the first messages, as many as one question may hold; transfers alike share one.

    A node runs each message on top of all before it, so the time of a question grows with its square.
    """
    first = next(nonces_for(selection.sender, selection.chain_state, gaps=[]))
    asked: dict[object, tuple[ChainMessage, GasSpec]] = {}
    keys: list[object] = []
    for candidate in chosen:
        row, spec = candidate.row, candidate.spec
        done = signed.get(row.pk)
        message = replace(row.chain_message(), gas_fee_cap=AttoFil(candidate.fees.gas_fee_cap))
        if done is not None:
            message = replace(done.message, nonce=message.nonce)
        # Only transfers are alike: another method's second call may do something else than its first.
        key = (message, spec) if row.method == METHOD_SEND else row.pk
        if key not in asked:
            if len(asked) == ESTIMATES_MAX:
                selection.has_more = True
                break
            asked[key] = (replace(message, nonce=first + len(asked)), spec)
        keys.append(key)
    answers = client.gas_batch_estimate(list(asked.values()), nonce=first, key=selection.head.key)
    by_key = dict(zip(asked, answers, strict=True))
    return [by_key[key] for key in keys]


def _gas_refusal(message: ChainMessage, candidate: Candidate, *, base_fee: int) -> tuple[Wait, str] | None:
    """Return why these gas values must not get a nonce: behind one that cannot land everything waits."""
    if message.gas_limit > BLOCK_GAS_LIMIT:
        reason = f"gas estimate:  gas limit {message.gas_limit} over limit {BLOCK_GAS_LIMIT}"
        return Wait.ESTIMATE, reason
    most = message.gas_limit * message.gas_fee_cap
    if candidate.guard.max_fee and most > candidate.guard.max_fee:  # it named its own fee cap
        allowed = fil_format(candidate.guard.max_fee)
        return Wait.GAS_CAP, gettext("its gas may cost up to {most}; the guard allows {allowed}").format(
            most=fil_format(most), allowed=allowed
        )
    needed = max(base_fee, GAS_FEE_CAP_MIN)
    if message.gas_fee_cap >= needed:
        return None
    if 0 < candidate.fees.gas_fee_cap <= message.gas_fee_cap:
        level, setting = candidate.fees.gas_fee_cap_level, f"fee cap {message.gas_fee_cap} aFIL"
        return Wait.FEE_LIMIT, f"{LEVELS[level]} {setting} < base fee {needed} aFIL. {WHERE[level]}"
    level = GUARD if candidate.is_capped else candidate.fees.max_fee_level
    buys = f"{fil_format(candidate.spec.max_fee)} buys a fee cap of {message.gas_fee_cap} aFIL"
    reason = f"{LEVELS[level]} max fee {buys} for {message.gas_limit} gas"
    wait = Wait.GAS_CAP if candidate.is_capped else Wait.FEE_LIMIT
    return wait, f"{reason} < base fee {needed} aFIL. {WHERE[level]}"


def messages_choose(
    selection: Selection, rows: Sequence[Message], *, client: ChainClient, shared: SharedRules
) -> list[tuple[Ready, SignedMessage]]:
    """Return signed messages in the order of their nonces, and note why the others are left.

    Each was estimated on top of exactly those that are signed before it.
    """
    candidates = candidates_filter(selection, rows, client=client, shared=shared)
    signed: Signatures = {}
    verdicts: list[Verdict] = []
    for count in range(ESTIMATES_AT_MOST):
        done = {pk: ready for pk, (ready, _) in signed.items()}
        verdicts = messages_estimate(selection, candidates, signed=done, client=client) if candidates else []
        left = {one.id for one in verdicts if one.has_left}
        firm = _firm(verdicts, left)
        if firm == len(verdicts) or count == ESTIMATES_AT_MOST - 1:
            ready = [one.ready for one in verdicts[:firm] if one.ready is not None]
            refused = selection_sign(selection, ready, signed=signed, client=client)
            left |= refused
            firm = min(firm, _first(verdicts, refused))
        candidates = _settled(selection, verdicts, left, firm)
        if len(candidates) == len(signed):
            break
    _unsettled(selection, verdicts, signed)
    return list(signed.values())


def _first(verdicts: Sequence[Verdict], ids: set[str]) -> int:
    """Return the place of the first of these messages; the number of all if none is among them."""
    return next((at for at, one in enumerate(verdicts) if one.id in ids), len(verdicts))


def _firm(verdicts: Sequence[Verdict], left: set[str]) -> int:
    """Return how many of the first verdicts hold although those of `left` are not sent."""
    first = _first(verdicts, left)
    rests_on_it = any(one.ready is not None or one.wait == Wait.ESTIMATE for one in verdicts[first:])
    return first if rests_on_it else len(verdicts)


def _settled(selection: Selection, verdicts: Sequence[Verdict], left: set[str], firm: int) -> list[Candidate]:
    """Leave what is decided, and return what is signed or has to be estimated again."""
    again: list[Candidate] = []
    for at, verdict in enumerate(verdicts):
        if verdict.ready is not None and verdict.id in left:
            continue  # refused by the signer, which has said why
        if verdict.id not in left and (verdict.ready is not None or at >= firm):
            again.append(verdict.candidate)
        else:
            row = verdict.candidate.row
            selection.leave(row, verdict.wait, verdict.text, is_failure=verdict.wait not in NO_FAILURE)
            if verdict.is_refused:
                selection.refused[row.pk] = verdict.text
    return again


def _unsettled(selection: Selection, verdicts: Sequence[Verdict], signed: Signatures) -> None:
    """Leave for the next round what is signed by no estimate, and count in budgets what is signed only."""
    left = {pk for pk, _, _ in selection.waits}
    selection.budgets.planned.clear()
    for verdict in verdicts:
        if verdict.id in signed:
            verdict_plan(selection, verdict)
        elif verdict.id not in left:
            selection.leave(verdict.candidate.row, Wait.NEXT_HEAD)
            selection.has_more = True


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed estimate."""

    code: int
    """Exit code; 0 if the node names none."""
    text: str
    """One line, without the virtual machine's backtrace."""

    @property
    def is_final(self) -> bool:
        """Return whether an actor refuses the message, which only another state of the chain changes."""
        return self.code >= FIRST_FINAL_CODE


def failure_read(error: str) -> Failure:
    """Read what a node says of a message that would fail."""
    found = CODE.search(error)
    if found is None:
        return Failure(0, " ".join(error.split()))
    code = int(found["code"])
    frames = [frame["text"] for frame in FRAME.finditer(error)]
    causes = [cause["text"].strip() for cause in CAUSE.finditer(error)]
    cause = (causes or frames or [""])[-1]
    text = f"{found['name'] or 'exit code'} ({code}), {exit_code_text(code)}"
    return Failure(code, f"{text}: {cause}" if cause else text)


def refusals_fail(rows: Sequence[Message], reasons: dict[str, str], *, now: datetime) -> None:
    """Mark those as failed that an actor has refused often enough; `reasons` are their last ones by id."""
    ended = {
        row.pk: {
            "wait": str(Wait.NONE),
            "attempts": 0,  # whoever retries it starts over
            "retry_height": 0,
            "error": f"failed after {ATTEMPTS_MAX} attempts: {reasons[row.pk]}"[:2000],
        }
        for row in rows
        if row.kind in OUTSIDE_KINDS and row.priority == Priority.REST and row.attempts + 1 >= ATTEMPTS_MAX
    }
    with transaction.atomic():
        publish_message_changes(messages_advance("REFUSE", ended, now=now))
