"""Published deals that hosts will seal too late by their usual times: the miner's collateral burns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.db.models import Count

from apps.market.selectors.deals import deals_unsealed
from apps.market.states import DealState
from apps.miners.models import Miner
from apps.sectors.models import Sector
from apps.sectors.selectors.first_epochs import first_deal_epoch, sector_first_epoch
from poolsite.filecoin.policy import Network
from poolsite.wire.pipeline import FINAL_STATES

GROUPED: Final = ("miner", "state", "sector_number", "start_epoch")


@dataclass(slots=True)
class LateDeals:
    """Published deals of a miner that will be active after their start."""

    count: int
    start: int
    """Epoch at which the first of them starts."""
    expected: int
    """Epoch before which that one will not be active."""


def deals_late(
    miners: Collection[Miner], *, height: int, until: int, network: Network
) -> dict[Miner, LateDeals]:
    """Return, by miner, published deals that start by an epoch and will not be sealed before.

    Those that a snap-up takes are left out: it is done within the hour.
    """
    by_key = {miner.pk: miner for miner in miners}
    rows = deals_unsealed().filter(miner__in=by_key, chain_deal__isnull=False)
    rows = rows.filter(start_epoch__gt=height, start_epoch__lte=until)
    groups = rows.order_by("start_epoch").values(*GROUPED)
    counted = list(groups.annotate(count=Count("pk")).values_list(*GROUPED, "count"))
    sealing = {(key, number) for key, state, number, _, _ in counted if state == DealState.SEALING}
    sectors = _sectors_read(sealing)
    found: dict[Miner, LateDeals] = {}
    expected: dict[tuple[Miner, int | None], int] = {}
    for key, state, sealed_in, start, count in counted:
        miner, number = by_key[key], sealed_in if state == DealState.SEALING else None
        if (miner, number) not in expected:
            sector = sectors.get((key, number))
            if number is None:
                expected[miner, number] = first_deal_epoch(miner, height=height, network=network)
            elif sector is None:
                expected[miner, number] = height
            else:
                sector.miner = miner
                expected[miner, number] = sector_first_epoch(sector, height=height, network=network)
        if expected[miner, number] <= start:
            continue
        late = found.setdefault(miner, LateDeals(0, start, expected[miner, number]))
        late.count += count
    return found


def _sectors_read(keys: Collection[tuple[int, int | None]]) -> dict[tuple[int, int | None], Sector]:
    """Return the sectors that are not at their end yet, by miner and number."""
    if not keys:
        return {}
    numbers = {number for _, number in keys if number is not None}
    rows = Sector.objects.filter(miner__in={miner for miner, _ in keys}, number__in=numbers)
    rows = rows.exclude(state__in=FINAL_STATES)
    return {(row.miner_id, row.number): row for row in rows if (row.miner_id, row.number) in keys}
