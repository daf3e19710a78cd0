"""What is at stake behind an address or a message: attoFIL by the chain's formulas, and until when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Exists, OuterRef, Q, Sum

from apps.checks.selectors.data import CheckData
from apps.messages.selectors.messages import messages_open, messages_visible
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.selectors.senders import senders_chosen
from apps.miners.states import Use
from apps.sectors.selectors.sectors import sectors_in_messages
from apps.wallets.selectors import wallets_visible
from poolsite.filecoin.pledge import TERMINATION_FULL_AGE, termination_fee

STUCK_MAX: Final = 1_000
"""Stuck messages whose value is added up."""


def provers_of(data: CheckData, senders: Collection[str]) -> list[Miner]:
    """Return the miners whose proofs are sent from one of these addresses."""
    return [one for one, chosen in _senders_chosen(data, senders).items() if chosen[Use.POST] in senders]


@dataclass(frozen=True, slots=True)
class Needed:
    """Those of some addresses whose key is needed now, and what for."""

    addresses: set[str]
    provers: list[Miner]
    """Miners whose proofs are sent from one of them."""


def senders_needed(data: CheckData, addresses: Collection[str]) -> Needed:
    """Return those of these addresses whose key a miner or a message needs now.

    A miner needs its worker, for blocks, and whoever would send its messages.
    """
    chosen = _senders_chosen(data, addresses)
    needed = {one.worker for one in data.miners}.union(*(uses.values() for uses in chosen.values()))
    if data.rare.messages_open and not needed.issuperset(addresses):
        rows = messages_visible(data.viewer).filter(from_addr=OuterRef("address"))
        # One for each state, as each has an index by sender; together they might read what has landed.
        unsigned, signed = (rows.filter(state=one) for one in (MessageState.UNFILLED, MessageState.FILLED))
        waiting = wallets_visible(data.viewer).filter(Exists(unsigned) | Exists(signed))
        needed.update(waiting.filter(address__in=addresses).values_list("address", flat=True))
    provers = [one for one, uses in chosen.items() if uses[Use.POST] in addresses]
    return Needed(needed.intersection(addresses), provers)


def _senders_chosen(data: CheckData, senders: Collection[str]) -> dict[Miner, dict[Use, str]]:
    """Return who sends for each use of the miners that have one of these addresses."""
    wanted = set(senders)
    near = [one for one in data.miners if not wanted.isdisjoint((one.worker, one.owner, *one.control))]
    return senders_chosen(near)


def fees_per_day(data: CheckData, miners: Iterable[Miner]) -> int:
    """Return what a day without proofs costs these miners."""
    return sum(data.fault_fee_per_day(one, one.active_sectors) for one in miners)


def termination_fees(data: CheckData, miner: Miner, sectors: int) -> int:
    """Return what the chain takes where it ends so many of a miner's sectors, in attoFIL.

    Pledge and power are the miner's average per sector, whose age nobody asks for: it counts as full.
    """
    pledge = int(miner.pledge) * sectors // max(miner.live_sectors, sectors, 1)
    fault_fee = 0 if data.reward is None else data.reward.fault_fee(data.quality_of(miner, sectors))
    return int(termination_fee(pledge, age=TERMINATION_FULL_AGE, sector_fault_fee=fault_fee))


def rewards_per_day(data: CheckData, addresses: Collection[str]) -> int:
    """Return what a day without blocks costs the miners whose blocks one of these addresses signs."""
    return sum(data.reward_per_day(one) for one in data.miners if one.worker in addresses)


def first_close(
    data: CheckData, miners: Iterable[Miner], *, deadlines: Collection[int] | None = None
) -> int | None:
    """Return when the first window with sectors of these miners closes, of all or of these deadlines.

    None if none is ahead.
    """
    keys = {miner.pk for miner in miners}
    if data.clock is None or not keys:
        return None
    closes = [
        row.close_epoch
        for (pk, index), row in data.deadlines.items()
        if pk in keys and row.live and (deadlines is None or index in deadlines)
    ]
    first = min((epoch for epoch in closes if epoch > data.clock.epoch), default=None)
    return None if first is None else data.clock.starts_at(first)


def deposits_of(data: CheckData, sizes: Iterable[int] | Mapping[int, int]) -> int:
    """Return the deposits of pre-committed sectors of these sizes, or of so many of each size."""
    if data.reward is None:
        return 0
    return sum(count * data.reward.deposit(size) for size, count in Counter(sizes).items())


def held_by_stuck(data: CheckData) -> tuple[int, int]:
    """Return what stuck messages and those in flight behind them carry, and their batches' deposits.

    The value of a message that nobody has signed is still its sender's: it is not at risk.
    """
    rows = data.stuck_messages.select_related(None).order_by()
    stuck = list(rows.values_list("pk", "from_addr", "nonce")[:STUCK_MAX])
    first: dict[str, int] = {}
    for _, sender, nonce in stuck:
        if nonce is not None:
            first[sender] = min(first.get(sender, nonce), nonce)
    wanted = Q(pk__in=[key for key, _, _ in stuck])
    for sender, nonce in first.items():
        wanted |= Q(from_addr=sender, state=MessageState.FILLED, nonce__gte=nonce)
    held = messages_open(data.viewer).filter(wanted).select_related(None).order_by()
    value = int(held.filter(state=MessageState.FILLED).aggregate(value=Sum("value"))["value"] or 0)
    return value, deposits_in(data, list(held.values_list("pk", flat=True)))


def deposits_in(data: CheckData, keys: Sequence[str]) -> int:
    """Return the deposits of the sectors that wait to be committed by these messages."""
    if data.reward is None or not keys:
        return 0
    return deposits_of(data, sectors_in_messages(data.sectors, keys).values_list("sector_size", flat=True))
