"""Earnings of clients' deals: the fee of an active deal falls to its miner epoch by epoch, paid or not.

Sums come from `DealIncome`, a row for each miner and day, and from the deals whose payments begin or end
within the heights that are asked for: not from all deals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.db.models import Exists, F, OuterRef, Sum

from apps.market.models import Deal, DealIncome
from apps.market.selectors.deals import TERMINATED
from apps.market.states import DealState
from apps.miners.models import Miner
from apps.sectors.models import SectorChange
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET


def deals_earned(heights: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
    """Return what miners' deals earned between heights, attoFIL, by the miner's key, where they earned any.

    Heights rise; there is one amount fewer than heights.
    """
    sums = _earned_sums(heights)
    return {pk: [after - before for before, after in pairwise(own)] for pk, own in sums.items()}


def _earned_sums(heights: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
    """Return what miners' deals have earned in all up to each height, by the miner's key."""
    if not heights:
        return {}
    since = min(own[0] for own in heights.values()) // EPOCHS_PER_DAY_MAINNET * EPOCHS_PER_DAY_MAINNET
    until = max(own[-1] for own in heights.values())
    before = DealIncome.objects.filter(miner__in=heights, day__lt=since // EPOCHS_PER_DAY_MAINNET).order_by()
    base = {
        pk: (int(rate), int(moment))
        for pk, rate, moment in before.values_list("miner").annotate(Sum("rate"), Sum("moment"))
    }
    steps: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    rows = Deal.objects.filter(miner__in=heights, earns_from__isnull=False).order_by()
    for name, sign in (("earns_from", 1), ("earns_until", -1)):
        inside = rows.filter(**{f"{name}__gte": since, f"{name}__lt": until})
        for pk, epoch, price in inside.values_list("miner", name).annotate(Sum("price")):
            steps[pk].append((epoch, sign * int(price)))
    return {
        pk: [_earned_at(height, base.get(pk, (0, 0)), steps[pk]) for height in heights[pk]]
        for pk in base.keys() | steps.keys()
    }


def _earned_at(height: int, base: tuple[int, int], steps: Sequence[tuple[int, int]]) -> int:
    """Return what was earned up to a height, by the rate of earlier days and the steps since then."""
    rate, moment = base
    return rate * height - moment + sum(price * max(height - epoch, 0) for epoch, price in steps)


@dataclass(frozen=True, slots=True)
class Payments:
    """Earnings of deals so far, and how much of them the market actor has paid; attoFIL."""

    earned: int = 0
    settled: int = 0

    @property
    def unsettled(self) -> int:
        """Return what is still in the clients' market balances, locked for the miner."""
        return self.earned - self.settled


def payments_of(miners: Sequence[Miner]) -> Payments:
    """Return what all deals of miners have earned up to their newest heights, and what was paid of it."""
    rows = DealIncome.objects.filter(miner__in=miners).order_by()
    settled = rows.aggregate(sum=Sum("settled"))["sum"]
    if settled is None:
        return Payments()
    found = _earned_sums({one.pk: [one.refreshed_height] for one in miners})
    earned = sum(amount for (amount,) in found.values())
    return Payments(max(earned, int(settled)), int(settled))  # it may have been paid since those heights


def deal_payments(deal: Deal, *, height: int) -> Payments:
    """Return what one deal has earned up to a height, and what was paid of it."""
    if deal.earns_from is None or deal.earns_until is None:
        return Payments()
    earned = max(min(height, deal.earns_until) - deal.earns_from, 0) * int(deal.price)
    settled = max((deal.settled_to or 0) - deal.earns_from, 0) * int(deal.price)
    return Payments(max(earned, settled), settled)


def deals_to_settle(*, read_until: int, height: int, most: int) -> list[Deal]:
    """Return the earning deals whose payment was read longest ago, before a height; newest reads are left."""
    rows = Deal.objects.filter(settled_to__lt=F("earns_until"), settled_at__lte=read_until)
    rows = rows.filter(chain_deal__isnull=False, earns_from__lt=height)
    return list(rows.select_related("miner").order_by("settled_at", "pk")[:most])


def deals_unnoted(*, since: datetime) -> list[Deal]:
    """Return deals that have come into a sector or to their end since then, and of which nothing is noted."""
    rows = Deal.objects.filter(state__in=(DealState.ACTIVE, DealState.ENDED), state_since__gte=since)
    rows = rows.filter(earns_from=None, proposal__isnull=False, start_epoch__isnull=False)
    return list(rows.order_by("pk"))


def deals_cut_unnoted() -> list[Deal]:
    """Return ended deals that are noted to have earned after the pool has ended their sectors."""
    ended = SectorChange.objects.filter(
        sector__miner=OuterRef("miner"), sector__number=OuterRef("sector_number")
    )
    ended = ended.filter(state__in=TERMINATED, batch__landed_height__lt=OuterRef("earns_until"))
    rows = Deal.objects.filter(Exists(ended), state=DealState.ENDED, earns_until__gt=F("earns_from"))
    return list(rows.order_by("pk"))
