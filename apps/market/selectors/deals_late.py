"""Published deals that hosts will seal too late by their usual times: the miner's collateral burns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Count

from apps.market.selectors.deals import deals_unsealed
from apps.market.states import DealState
from apps.miners.models import Miner
from apps.sectors.models import Sector
from apps.sectors.selectors.first_epochs import first_deal_epoch, sector_first_epoch
from poolsite.filecoin.policy import Network
from poolsite.wire.pipeline import FINAL_STATES


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
    groups = rows.order_by("start_epoch").values_list("miner", "state", "sector_number", "start_epoch")
    found: dict[Miner, LateDeals] = {}
    expected: dict[tuple[Miner, int | None], int] = {}
    for key, state, sealed_in, start, count in groups.annotate(Count("pk")):
        miner, number = by_key[key], sealed_in if state == DealState.SEALING else None
        if (miner, number) not in expected:
            expected[miner, number] = _expected(miner, number, height=height, network=network)
        if expected[miner, number] <= start:
            continue
        late = found.setdefault(miner, LateDeals(0, start, expected[miner, number]))
        late.count += count
    return found


def _expected(miner: Miner, number: int | None, *, height: int, network: Network) -> int:
    """Return the first epoch at which a sector can be active, or data that are in none yet."""
    if number is None:
        return first_deal_epoch(miner, height=height, network=network)
    sector = Sector.objects.filter(miner=miner, number=number).exclude(state__in=FINAL_STATES).first()
    return height if sector is None else sector_first_epoch(sector, height=height, network=network)
