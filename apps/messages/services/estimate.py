"""What a sender's next messages may cost: rules, gates and guards, then the node's estimate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from apps.messages.models import GasGuard
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.checks import lack_words
from apps.messages.services.fees import FeeChoice, actor_rules_for, fee_choose
from apps.messages.services.guards import GuardChoice, guard_choose
from apps.messages.services.nonces import nonces_for
from apps.messages.services.rounds import Ready
from apps.messages.states import Priority, Wait
from poolsite.filecoin.amounts import AttoFil, fil_format
from poolsite.filecoin.message import BLOCK_GAS_LIMIT, METHOD_SEND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.chain.client import ChainClient, Estimate, GasSpec
    from apps.messages.models import Message, SharedRules
    from apps.messages.services.rounds import Round
    from poolsite.filecoin.message import Message as ChainMessage

ESTIMATES_MAX: Final = 100
"""Different messages in one question about gas."""

GAS_FEE_CAP_MIN: Final = 100
"""attoFIL: below it no pool takes a message.  Source: lotus chain/messagepool minimumBaseFee."""


@dataclass(frozen=True, slots=True)
class Wish:
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
        """Tell whether the guard allows less than the rules do."""
        return bool(self.guard.max_fee) and self.spec.max_fee != self.fees.spec.max_fee


def messages_estimated(
    turn: Round, rows: Sequence[Message], *, client: ChainClient, shared: SharedRules
) -> list[Ready]:
    """Give gas values to the messages that pass the gates, in order, at most as many as there are places."""
    chosen = _wishes(turn, rows, client=client, shared=shared)
    if not chosen:
        return []
    answers = _answers(turn, chosen, client=client)
    ready: list[Ready] = []
    balance = turn.standing.free_balance
    for wish, answer in zip(chosen, answers, strict=False):  # those beyond the answers wait
        row = wish.row
        if len(ready) >= turn.places:
            turn.leave(row, Wait.QUOTA)
        elif row.value > balance:  # the trial of such a message fails, in the node's words
            turn.leave(row, Wait.FUNDS, lack_words(int(row.value), balance), is_failure=True)
        elif answer.message is None:
            turn.leave(row, Wait.ESTIMATE, f"gas estimate: {answer.error}", is_failure=True)
        elif (reason := _gas_refusal(answer.message, wish, base_fee=int(turn.head.base_fee))) is not None:
            turn.leave(row, *reason, is_failure=True)
        elif (cost := Ready(row, answer.message).cost) > balance:
            turn.leave(row, Wait.FUNDS, lack_words(cost, balance), is_failure=True)
        elif not _is_in_budget(turn, wish, answer.message):
            turn.leave(row, Wait.DAILY_BUDGET, "it would go beyond it")
        else:
            balance -= cost
            ready.append(Ready(row, answer.message))
    return ready


def _wishes(turn: Round, rows: Sequence[Message], *, client: ChainClient, shared: SharedRules) -> list[Wish]:
    """Give the messages that pass the gates: base fee, hold, and a budget that is not used up."""
    actors = actor_rules_for(rows, client=client, key=turn.head.key)
    guards = list(GasGuard.objects.order_by("pk"))
    kinds = receiver_kinds({row.to for row in rows}) if any(guard.actor for guard in guards) else {}
    base_fee, height = int(turn.head.base_fee), turn.head.height
    found: list[Wish] = []
    for row in rows:
        fees = fee_choose(row, sender=turn.sender, actor=actors.get((row.to, row.method)), shared=shared)
        guard = guard_choose(row, guards, receiver=kinds.get(row.to, ""))
        room = turn.budgets.room(guard.budgets)
        if fees.base_fee_gate and base_fee > fees.base_fee_gate and row.priority != Priority.PROOF:
            turn.leave(row, Wait.BASE_FEE_GATE, f"{base_fee} > {fees.base_fee_gate}")
        elif hold := guard.holding(base_fee=base_fee, height=height):
            end = f"; it goes at epoch {hold.until} in any case" if hold.until else ""
            turn.leave(row, Wait.HELD, f"base fee {base_fee} > {hold.base_fee}{end}")
        elif room is not None and room <= 0:
            turn.leave(row, Wait.DAILY_BUDGET, "nothing is left of it")
        else:
            found.append(Wish(row, fees, guard))
    return found


def _is_in_budget(turn: Round, wish: Wish, message: ChainMessage) -> bool:
    """Count a message's gas at the present base fee in its budgets if they all have room for it."""
    price = min(message.gas_fee_cap, int(turn.head.base_fee) + message.gas_premium)
    cost = message.gas_limit * price
    room = turn.budgets.room(wish.guard.budgets)
    if room is not None and cost > room:
        return False
    turn.budgets.plan(wish.guard.budgets, cost)
    return True


def _answers(turn: Round, chosen: Sequence[Wish], *, client: ChainClient) -> list[Estimate]:
    """Ask for the gas of the first messages, as many as one question may hold; transfers alike share one.

    A node runs each message on top of all before it, so the time of a question grows with its square.
    """
    first = next(nonces_for(turn.sender, turn.standing, holes=[]))
    asked: dict[object, tuple[ChainMessage, GasSpec]] = {}
    keys: list[object] = []
    for wish in chosen:
        row, spec = wish.row, wish.spec
        message = replace(row.chain_message(), gas_fee_cap=AttoFil(wish.fees.gas_fee_cap))
        # Only transfers are alike: another method's second call may do something else than its first.
        key = (message, spec) if row.method == METHOD_SEND else row.pk
        if key not in asked:
            if len(asked) == ESTIMATES_MAX:
                turn.has_more = True
                break
            asked[key] = (replace(message, nonce=first + len(asked)), spec)
        keys.append(key)
    answers = client.gas_batch_estimate(list(asked.values()), nonce=first, key=turn.head.key)
    by_key = dict(zip(asked, answers, strict=True))
    return [by_key[key] for key in keys]


def _gas_refusal(message: ChainMessage, wish: Wish, *, base_fee: int) -> tuple[Wait, str] | None:
    """Say why these gas values must not get a nonce: behind one that cannot land everything waits."""
    if message.gas_limit > BLOCK_GAS_LIMIT:
        reason = f"gas estimate:  gas limit {message.gas_limit} over limit {BLOCK_GAS_LIMIT}"
        return Wait.ESTIMATE, reason
    most = message.gas_limit * message.gas_fee_cap
    if wish.guard.max_fee and most > wish.guard.max_fee:  # it named its own fee cap
        allowed = fil_format(wish.guard.max_fee)
        return Wait.GAS_CAP, f"its gas may cost {fil_format(most)}, the guard allows {allowed}"
    needed = max(base_fee, GAS_FEE_CAP_MIN)
    if message.gas_fee_cap < needed:
        is_own = not wish.spec.max_fee or 0 < wish.row.gas_fee_cap <= message.gas_fee_cap
        limit = "its own wish" if is_own else f"at most {fil_format(wish.spec.max_fee)} for its gas"
        reason = f"{limit} gives a fee cap of {message.gas_fee_cap} attoFIL, and {needed} are needed"
        return (Wait.GAS_CAP if wish.is_capped else Wait.FEE_LIMIT), reason
    return None
