"""What a node's estimate means for each of a sender's next messages: gas values to sign, or why it waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from apps.chain.node.client import ChainClient
from apps.chain.node.gas_estimates import Estimate, GasSpec
from apps.core.reasons import MARKED, Reason
from apps.messages.reasons import (
    BUDGET_SHORT,
    ESTIMATE,
    FEE_CAP_LOW,
    GAS_LIMIT_HIGH,
    GUARD_ALLOWS,
    MAX_FEE_LOW,
)
from apps.messages.rules.gas_checks import GAS_FEE_CAP_MIN, gas_shortfall_describe, shortfall_describe
from apps.messages.selectors.fees import GUARD, LEVELS, NODE, WHERE
from apps.messages.services.candidates import Candidate
from apps.messages.services.estimate_failures import failure_read
from apps.messages.services.selection import Ready, Selection, free_nonces_generate
from apps.messages.states import PRESSING, Wait
from poolsite.filecoin.amounts import AttoFil, fil_format
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.gas_estimates import fee_cap_limit
from poolsite.filecoin.message import METHOD_SEND
from poolsite.filecoin.message import Message as ChainMessage

ESTIMATES_MAX: Final = 100
"""Different messages in one question about gas."""

SINGLE_ESTIMATES_MAX: Final = 10
"""Where each is a question of its own, as at lotus, which runs the head's whole tipset for it: the first are
signed and sent before the next are asked for."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an estimate means for one message: gas values to sign, or why it is left."""

    candidate: Candidate
    ready: Ready | None = None
    wait: Wait = Wait.NONE
    text: Reason | str = ""
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
    selection: Selection, *, candidates: Sequence[Candidate], signed: Mapping[str, Ready], client: ChainClient
) -> list[Verdict]:
    """Return what the node's estimate means for each message, in order.

    `signed` are the first of them by id: they stay as they are, and the others are estimated on top of them.
    """
    answers = _answers(selection, candidates, signed, client=client)
    selection.budgets.planned.clear()
    verdicts: list[Verdict] = []
    places, balance = selection.places, selection.chain_state.free_balance
    for candidate, answer in zip(candidates, answers, strict=False):  # candidates beyond the answers wait
        done = signed.get(candidate.row.pk)
        verdict = (
            Verdict(candidate, done, is_counted=True)
            if done is not None
            else _verdict(selection, candidate, answer, places=places, balance=balance)
        )
        if verdict.ready is not None:
            places, balance = places - 1, balance - verdict.ready.cost
            verdict_plan(selection, verdict=verdict)
        verdicts.append(verdict)
    return verdicts


def verdict_plan(selection: Selection, *, verdict: Verdict) -> None:
    """Count a message's gas in the budgets that it falls under."""
    if verdict.ready is not None:
        cost = selection.budgets.cost_now(verdict.ready.message)
        selection.budgets.plan(verdict.candidate.guard.budgets, cost)


def _verdict(
    selection: Selection, candidate: Candidate, answer: Estimate, *, places: int, balance: int
) -> Verdict:
    """Return whether a message fits into the places and the money that are left."""
    row, message = candidate.row, answer.message
    if places <= 0:
        return Verdict(candidate, None, Wait.QUOTA, is_counted=message is not None)
    # Its trial at a node would fail with the node's own text, without the pool's sums.
    if row.value > balance:
        lack = shortfall_describe(int(row.value), balance=balance)
        return Verdict(candidate, None, Wait.FUNDS, lack, is_counted=message is not None)
    if message is None:
        failure = failure_read(answer.error)
        text = ESTIMATE(error=failure.text)
        return Verdict(candidate, None, Wait.ESTIMATE, text, is_refused=failure.is_final)
    ready = _affordable(Ready(row, message), balance=balance, base_fee=int(selection.head.base_fee))
    room = selection.budgets.room(candidate.guard.budgets)
    if (reason := _gas_refusal(ready.message, candidate, base_fee=int(selection.head.base_fee))) is not None:
        wait, text = reason
    elif ready.cost > balance:
        wait, text = Wait.FUNDS, shortfall_describe(ready.cost, balance=balance)
    elif room is not None and selection.budgets.cost_now(ready.message) > room:
        wait, text = Wait.DAILY_BUDGET, BUDGET_SHORT()
    else:
        return Verdict(candidate, ready, is_counted=True)
    return Verdict(candidate, None, wait, text, is_counted=True)


def _affordable(ready: Ready, *, balance: int, base_fee: int) -> Ready:
    """Lower the fee cap of what is pressing to what the balance pays, where that still covers the base fee.

    The estimate's cap is for many epochs of a rising base fee; a proof without it may land, one that waits
    for funds cannot.  Source: lotus storage/wdpost/wdpost_run.go prepareMessage.
    """
    message = ready.message
    if ready.row.priority not in PRESSING or ready.cost <= balance:
        return ready
    cap, premium = fee_cap_limit(
        gas_limit=message.gas_limit,
        fee_cap=message.gas_fee_cap,
        premium=message.gas_premium,
        max_fee=balance - message.value,
    )
    if cap < max(base_fee, GAS_FEE_CAP_MIN):
        return ready
    return Ready(ready.row, replace(message, gas_fee_cap=cap, gas_premium=premium))


def _answers(
    selection: Selection, chosen: Sequence[Candidate], signed: Mapping[str, Ready], *, client: ChainClient
) -> list[Estimate]:
    """Estimate the gas of the first messages, as many as one question may hold; transfers alike share one.

    A node runs each message on top of all before it, so the time of a question grows with its square.
    """
    most = ESTIMATES_MAX if client.knows("GasBatchEstimateMessageGas") else SINGLE_ESTIMATES_MAX
    first = next(free_nonces_generate(selection.sender, chain_state=selection.chain_state, gaps=[]))
    requests: dict[object, tuple[ChainMessage, GasSpec]] = {}
    keys: list[object] = []
    for candidate in chosen:
        row, spec = candidate.row, candidate.spec
        done = signed.get(row.pk)
        message = replace(row.chain_message(), gas_fee_cap=AttoFil(candidate.fees.gas_fee_cap))
        if done is not None:
            message = replace(done.message, nonce=message.nonce)
        # Only transfers are alike: another method's second call may do something else than its first.
        key = (message, spec) if row.method == METHOD_SEND else row.pk
        if key not in requests:
            if len(requests) == most:
                selection.has_more = True
                break
            requests[key] = (replace(message, nonce=first + len(requests)), spec)
        keys.append(key)
    answers = client.gas_batch_estimate(list(requests.values()), nonce=first, key=selection.head.key)
    by_key = dict(zip(requests, answers, strict=True))
    return [by_key[key] for key in keys]


def _gas_refusal(message: ChainMessage, candidate: Candidate, *, base_fee: int) -> tuple[Wait, Reason] | None:
    """Return why these gas values must not get a nonce: behind one that cannot land everything waits."""
    if message.gas_limit > BLOCK_GAS_LIMIT:
        return Wait.ESTIMATE, GAS_LIMIT_HIGH(limit=message.gas_limit, most=BLOCK_GAS_LIMIT)
    if reason := gas_shortfall_describe(message):
        return Wait.ESTIMATE, reason
    most = message.gas_limit * message.gas_fee_cap
    if candidate.guard.max_fee and most > candidate.guard.max_fee:  # the message names its own fee cap
        allowed = fil_format(candidate.guard.max_fee)
        return Wait.GAS_CAP, GUARD_ALLOWS(most=fil_format(most), allowed=allowed)
    needed = max(base_fee, GAS_FEE_CAP_MIN)
    if message.gas_fee_cap >= needed:
        return None
    if 0 < candidate.fees.gas_fee_cap <= message.gas_fee_cap:
        level = candidate.fees.gas_fee_cap_level
        text = FEE_CAP_LOW(
            level=MARKED(text=LEVELS[level]),
            cap=int(message.gas_fee_cap),
            needed=needed,
            where=MARKED(text=WHERE[level]),
        )
        return Wait.FEE_LIMIT, text
    level = GUARD if candidate.is_capped else candidate.fees.max_fee_level or NODE
    text = MAX_FEE_LOW(
        level=MARKED(text=LEVELS[level]),
        fee=fil_format(candidate.spec.max_fee or most),
        cap=int(message.gas_fee_cap),
        limit=message.gas_limit,
        needed=needed,
        where=MARKED(text=WHERE[level]),
    )
    return Wait.GAS_CAP if candidate.is_capped else Wait.FEE_LIMIT, text
