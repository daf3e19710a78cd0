"""Sealing targets: settings and progress."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q

from apps.chain.selectors.heads import head_current
from apps.core.clock import DAY
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.sectors.models import RUNS_OVER, PipelineRun, SealTarget, Sector
from apps.sectors.states import Hold
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import FINAL_STATES, SectorState


def target_get(miner: Miner) -> SealTarget:
    """Return a miner's target.  Raises NotFound."""
    row = SealTarget.objects.filter(miner=miner).first()
    if row is None:
        raise NotFound(gettext("{miner} has no target").format(miner=miner))
    return row


def targets_of(miners: Iterable[Miner]) -> list[SealTarget]:
    """Return the targets of those of these miners that have one."""
    return list(SealTarget.objects.filter(miner__in=list(miners)).select_related("miner"))


def targets_paused(miners: Iterable[Miner]) -> list[SealTarget]:
    """Return the targets of these miners that want sectors and may not pledge them, longest first."""
    rows = SealTarget.objects.filter(miner__in=list(miners)).exclude(held_by__in=[Hold.NONE, Hold.REACHED])
    return list(rows.select_related("miner").order_by("held_since", "pk"))


def targets_due(*, now: datetime) -> bool:
    """Return whether any target is to be looked at."""
    return SealTarget.objects.filter(look_at__lte=now).exists()


def missing(row: SealTarget, *, now: datetime) -> int:
    """Return how many sectors have to be pledged now; those that failed count until somebody ends them."""
    due = _due_count(row, now=now)
    room = power_room(row)
    return due if room is None else min(due, room)


def power_room(row: SealTarget) -> int | None:
    """Return how many more sectors bring a miner to its most power; None if there is no most."""
    if row.power_max is None:
        return None
    miner, head = row.miner, head_current()
    sectors = Sector.objects.filter(miner=miner)
    coming = sectors.exclude(state__in=FINAL_STATES).count()
    # A committed sector has power from its first window on, a faulty one from the one in which it recovers.
    # Without files it gets none unless they are made again.
    rebuilding = PipelineRun.objects.filter(kind=JobKind.REBUILD).exclude(state__in=RUNS_OVER)
    unproven = sectors.filter(
        Q(files_lost_at=None) | ~Q(store="") | Q(pk__in=rebuilding.values("sector")),
        state=SectorState.PROVING,
        active=False,
    )
    coming += unproven.filter(expiration__gt=0 if head is None else head.height).count()
    left = row.power_max - miner.qa_power - coming * miner.sector_size
    return max(-(-left // miner.sector_size), 0)


def _due_count(row: SealTarget, *, now: datetime) -> int:
    sectors = Sector.objects.filter(miner=row.miner)
    if row.in_work is not None:
        return max(row.in_work - sectors.exclude(state__in=FINAL_STATES).count(), 0)
    # A day's worth is made up for at most, and the first sector of a day begins at once.
    begin = max(row.since, now - DAY)
    part = (now - begin) / DAY
    due = int((row.day_bytes or 0) * part // row.miner.sector_size) + 1
    due = min(due, (row.day_bytes or 0) // row.miner.sector_size)
    made = sectors.filter(created_at__gte=begin).exclude(state=SectorState.ABORTED).count()
    return max(due - made, 0)
