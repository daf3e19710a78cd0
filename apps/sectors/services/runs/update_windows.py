"""Into which committed sectors data can go now."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db.models import Q, QuerySet

from apps.miners.models import Miner
from apps.sectors.models import PipelineRun, Sector, SectorChange
from apps.sectors.onchain.deadline_windows import last_mutable_epoch_compute, open_deadline_read
from apps.sectors.selectors.leftovers import numbers_awaiting_removal
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.states import OPEN_MOVES
from poolsite.filecoin.deadlines import DeadlineInfo
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.pipeline import RUN_FINAL, SectorState
from poolsite.wire.pipeline.changes import OPEN_CHANGES, ChangeKind

LIFE_PERIODS: Final = 2
"""Proving periods that a sector must still live to be worth the message."""


def snap_candidates_find(
    miner: Miner,
    *,
    work: SealingContext,
    limit: int,
    stores: Collection[str] | None = None,
    latest: int | None = None,
    current: DeadlineInfo | None = None,
) -> list[Sector]:
    """Return committed sectors into which data can go now, those that live longest first.

    In these `stores` alone, and of those that end at epoch `latest` or before, if that is named.  `current`
    is the miner's open deadline, where it is known.
    """
    least = earliest_end_compute(work)
    rows = Sector.objects.filter(
        miner=miner,
        state=SectorState.PROVING,
        active=True,
        comm_d=sha254_zero(miner.sector_size),
        key_comm_r=None,
        expiration__gte=least,
    ).exclude(Q(ticket=None) | Q(comm_r=None))
    rows = rows.exclude(runs__in=PipelineRun.objects.exclude(state__in=RUN_FINAL))
    rows = rows.exclude(moves__state__in=OPEN_MOVES).exclude(number__in=numbers_awaiting_removal(miner))
    rows = rows.exclude(changes__in=terminations_open())
    if stores is not None:
        rows = rows.filter(store__in=stores)
    if latest is not None:
        rows = rows.filter(expiration__lte=latest)
    height = work.head.height
    if current is None:
        current = open_deadline_read(work.client, miner.address, key=work.head.key, height=height)
    mutable = [
        index
        for index in range(work.network.proving.deadlines)
        if last_mutable_epoch_compute(current, index=index, height=height) is not None
    ]
    rows = rows.filter(deadline__in=mutable)
    return list(rows.select_related("miner__tenant").order_by("-expiration", "pk")[:limit])


def terminations_open() -> QuerySet[SectorChange]:
    """Return the terminations that were requested and have not landed."""
    return SectorChange.objects.filter(kind=ChangeKind.TERMINATE, state__in=OPEN_CHANGES)


def earliest_end_compute(work: SealingContext) -> int:
    """Return the epoch until which a sector must still live to be worth the message."""
    return work.head.height + LIFE_PERIODS * work.network.proving.period
