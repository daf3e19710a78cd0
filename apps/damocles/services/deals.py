"""Clients' data in sectors that damocles-workers seal: the pieces that they fetch, and who takes none.

A worker without `enable_deals` asks for no pieces and would seal zeros: it loses such a sector before
anything is made of it, and is given none with data again until it asks for pieces.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.damocles.reasons import WITHOUT_DATA
from apps.pieces.selectors import pieces_of_sector
from apps.sectors.models import DamoclesSector, Job, Sector, Worker
from apps.sectors.rules.params import has_data
from apps.sectors.selectors.restored import lease_token_next
from apps.sectors.selectors.sector_records import PlacedPiece, pieces_placed
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import JobState
from poolsite.wire.pipeline import SectorState

BEFORE_PIECES: Final = frozenset({"Empty", "Allocated"})
"""Steps of a worker in which it may yet ask for the sector's pieces."""


def deals_list(sector: Sector) -> list[PlacedPiece]:
    """Return all that a sector is made of; none of a sector of zeros."""
    placed = pieces_of_sector(sector.miner, sector.number)
    return pieces_placed(sector.pieces, placed) if has_data(sector) else []


def deals_note(job: Job, *, record: DamoclesSector, now: datetime) -> None:
    """Note that a worker was told the pieces of its sector: it takes clients' data."""
    record.deals_at = record.deals_at or now
    record.save(update_fields=["deals_at"])
    worker = job.sticky_worker
    if worker is not None and worker.refuses_data:
        _refusal_note(worker, refuses=False)


def _refusal_note(worker: Worker, *, refuses: bool) -> None:
    """Note whether a worker refuses data; not while its row is locked: a ping locks that before jobs."""
    row = Worker.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=worker.pk).first()
    if row is not None:
        row.refuses_data = refuses
        row.save(update_fields=["refuses_data"])


def is_sealing_zeros(sector: Sector, *, record: DamoclesSector, step: str) -> bool:
    """Return whether a worker goes on with a sector of clients' data without having asked for its pieces."""
    is_bare = sector.state == SectorState.ALLOCATED and record.deals_at is None
    return is_bare and step not in BEFORE_PIECES and has_data(sector)


def deals_refuse(sector: Sector, *, job: Job, record: DamoclesSector, now: datetime) -> str:
    """Release a sector from a worker that takes no data, for another host; returns why."""
    worker = job.sticky_worker or job.worker
    if worker is not None:
        _refusal_note(worker, refuses=True)
    record.delete()
    job.sticky_worker = None
    job.save(update_fields=["sticky_worker"])
    if job.state == JobState.LEASED:
        token = lease_token_next()
        advance(job, "FREE", worker=None, lease_until=None, lease_token=token, updated_at=now)
    job_event_write(
        job,
        event="LEASE_OVER",
        now=now,
        actor="" if worker is None else worker.name,
        stage=sector.stage,
        worker=worker,
        note=WITHOUT_DATA(),
    )
    publish(Change("sector", str(sector.uuid), sector.tenant_id))
    return WITHOUT_DATA()
