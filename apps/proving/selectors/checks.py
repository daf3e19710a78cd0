"""Reading the checks of sectors' files and what they found."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db.models import QuerySet

from apps.miners.models import Miner
from apps.proving.models import CheckRun, SectorCheck


def checks_latest(miners: Iterable[Miner], *, index: int | None = None) -> QuerySet[CheckRun]:
    """Return the checks of sectors of these miners, newest first; those of one deadline."""
    rows = CheckRun.objects.filter(miner__in=miners).select_related("miner").order_by("-pk")
    return rows if index is None else rows.filter(deadline_index=index)


def sector_checks(miner: Miner, numbers: Collection[int]) -> dict[int, list[SectorCheck]]:
    """Return what was last found of these sectors' files, by number; of several stores the first by name."""
    found: dict[int, list[SectorCheck]] = {}
    for row in SectorCheck.objects.filter(miner=miner, number__in=numbers).order_by("number", "store"):
        found.setdefault(row.number, []).append(row)
    return found
