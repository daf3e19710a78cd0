"""Reading when sectors end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet

from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_get, miners_visible
from apps.sectors.models import ClaimsEnding, Expirations, Sector
from apps.sectors.selectors.sectors import DEPOSIT_OVER, sectors_visible
from apps.users.rules.principals import Principal
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET, Network
from poolsite.wire.pipeline import SectorState

CUTOFF: Final = 172_800
"""Epochs within which an expiration is soon: 60 days of the main network, as lotus-miner's check-expire."""


def sectors_ending(viewer: Principal, *, miner: str, start: int, stop: int) -> QuerySet[Sector]:
    """Return the proving sectors that end from epoch `start` to before `stop`, soonest first."""
    rows = sectors_visible(viewer).filter(state=SectorState.PROVING, expiration__gte=start)
    rows = rows.filter(expiration__lt=stop)
    if miner:
        rows = rows.filter(miner=miner_get(viewer, miner))
    return rows.order_by("expiration", "pk")


def sectors_expiring(
    viewer: Principal,
    miner: Miner,
    *,
    start: int,
    before: int,
    after: tuple[int, int] | None,
    limit: int,
) -> list[Sector]:
    """Return a miner's proving sectors that end from epoch `start` to before another one, soonest first.

    `after` is the expiration and key of the last one of the page before.
    """
    rows = sectors_ending(viewer, miner=miner.address, start=start, stop=before)
    if after is not None:
        rows = rows.filter(expiration__gte=after[0]).exclude(expiration=after[0], pk__lte=after[1])
    return list(rows[:limit])


def precommits_open(viewer: Principal, miner: Miner, *, after: int, limit: int) -> list[Sector]:
    """Return a miner's sectors with a pre-commit on the chain that no commit has followed, by their number.

    `after` is the number of the last one of the page before, -1 for the first page.
    """
    rows = sectors_visible(viewer).filter(miner=miner, number__gt=after).exclude(precommit_epoch=None)
    return list(rows.exclude(state__in=DEPOSIT_OVER).order_by("number")[:limit])


@dataclass(frozen=True, slots=True)
class LastEpochs:
    """Until when a sector may live."""

    ever: int | None
    """The end of its proof type's life; None: its activation is not known."""
    now: int
    """To which it can be extended now, its clients' claims left aside."""


def last_epochs(sector: Sector, *, height: int, network: Network) -> LastEpochs:
    """Return the latest expiration that a sector may have, ever and by an extension now."""
    most = height + network.max_sector_expiration_extension
    ever = None if sector.activation is None else sector.activation + network.max_sector_lifetime
    return LastEpochs(ever, most if ever is None else min(most, ever))


@dataclass(frozen=True, slots=True)
class ExpiryBucket:
    """Sectors that end within some epochs."""

    start: int
    stop: int
    """The first epoch after."""
    count: int
    size: int
    """Their raw bytes."""
    pledge: int
    """attoFIL that are free again then."""


def claims_ending(miners: Iterable[Miner]) -> list[ClaimsEnding]:
    """Return those of these miners with verified claims that end soon, soonest first."""
    rows = ClaimsEnding.objects.filter(miner__in=list(miners), count__gt=0)
    return list(rows.select_related("miner").order_by("end_epoch", "pk"))


EPOCHS_OF_COUNT: Final = EPOCHS_PER_DAY_MAINNET
"""Epochs whose ends are counted together: a day of the main network."""


def sectors_counted(miner: Miner) -> tuple[int, datetime | None]:
    """Return how many sectors of a miner prove, and when they were counted; None: nobody has yet."""
    row = Expirations.objects.filter(miner=miner).first()
    return (0, None) if row is None else (sum(count for _, count, *_ in row.counts), row.counted_at)


def expirations_by(
    viewer: Principal, *, miner: str, start: int, width: int
) -> tuple[list[ExpiryBucket], datetime | None]:
    """Return the proving sectors that end from `start` on, by `width` epochs, and when they were counted.

    Both are rounded to what is counted together; None: nobody has counted yet.
    """
    rows = Expirations.objects.filter(miner__in=miners_visible(viewer))
    if miner:
        rows = rows.filter(miner=miner_get(viewer, miner))
    first, step = start // EPOCHS_OF_COUNT, max(round(width / EPOCHS_OF_COUNT), 1)
    sums: dict[int, tuple[int, int, int]] = {}
    counted = None
    for row in rows:
        counted = row.counted_at if counted is None else min(counted, row.counted_at)
        for stretch, count, size, pledge in row.counts:
            if stretch >= first:
                place = (stretch - first) // step
                before = sums.get(place, (0, 0, 0))
                sums[place] = (before[0] + count, before[1] + size, before[2] + int(pledge))
    buckets = [
        ExpiryBucket(
            start=(first + place * step) * EPOCHS_OF_COUNT,
            stop=(first + (place + 1) * step) * EPOCHS_OF_COUNT,
            count=sums[place][0],
            size=sums[place][1],
            pledge=sums[place][2],
        )
        for place in sorted(sums)
    ]
    return buckets, counted
