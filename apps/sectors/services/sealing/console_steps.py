"""The sectors that are on their way, and the steps that the console takes with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from apps.core.errors import Conflict
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.sectors.models import Sector
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.services.sealing.steps import job_lock, sector_step
from poolsite.wire.pipeline import FINAL_STATES

log = structlog.get_logger(__name__)


class SectorsInProgress:
    """The sectors that are on their way and not paused, read once for all steps of a pass.

    A step may find its sector moved on meanwhile; it looks again under the lock anyway.
    """

    def __init__(self, rows: Iterable[Sector]) -> None:
        self.by_state: dict[str, list[Sector]] = defaultdict(list)
        for sector in rows:
            self.by_state[sector.state].append(sector)

    @classmethod
    def read(cls) -> SectorsInProgress:
        """Read those of all miners but the ones whose sectors are still read back after a restore."""
        rows = Sector.objects.filter(paused_at=None, miner__state=MinerState.ACTIVE)
        rows = rows.exclude(miner__in=miners_unrecovered())
        return cls(rows.exclude(state__in=FINAL_STATES).select_related("miner__tenant").order_by("pk"))

    def each_miner(self) -> list[SectorsInProgress]:
        """Return each miner's own, so that what goes wrong with one of them stops no other."""
        return [
            SectorsInProgress(sectors)
            for sectors in sectors_group_by_miner(self.sectors_in(*self.by_state)).values()
        ]

    def __str__(self) -> str:
        sectors = self.sectors_in(*self.by_state)
        return f"sectors of {sectors[0].miner}" if sectors else "no sectors"

    def sectors_in(self, *states: str) -> list[Sector]:
        """Return the sectors in these states, oldest first in each."""
        return [sector for state in states for sector in self.by_state[state]]


def sectors_group_by_miner(sectors: Iterable[Sector]) -> dict[Miner, list[Sector]]:
    """Group sectors by their miner."""
    groups: dict[Miner, list[Sector]] = defaultdict(list)
    for sector in sectors:
        groups[sector.miner].append(sector)
    return groups


def sector_console_step(sector: Sector, *, event: str, now: datetime, note: str = "", **data: Any) -> bool:
    """Step a sector unless it moved or was paused since it was read; return whether it was stepped."""
    with transaction.atomic():
        job, current = job_lock(sector.pk)
        if current.state != sector.state or current.paused_at is not None:
            return False
        try:
            with transaction.atomic():
                sector_step(current, event=event, job=job, now=now, actor="console", note=note, **data)
        except Conflict as conflict:
            log.info("sector_step_lost", sector=str(current.uuid), transition=event, reason=conflict.reason)
            return False
    return True
