"""Where a sector's files lie: stores by host and path, the host that works on it, copies of pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.pieces.selectors import pieces_of_sector
from apps.proving.selectors import sector_checks
from apps.sectors.models import Job
from apps.sectors.store_selectors import attachments_of, stores_visible
from poolsite.wire.pipeline import FINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from apps.sectors.models import Sector
    from apps.users.principals import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorPlace:
    """One place with files of a sector."""

    what: str
    """`sealed`, `update`, `work` or `piece`."""
    store: str = ""
    host: str = ""
    path: str = ""
    condition: str = ""
    """Of the store on that host."""
    looked_at: datetime | None = None
    """When somebody last looked at the files there."""
    finding: str = ""
    """What was wrong with them then; empty: nothing, or nobody has looked."""


def sector_places(sector: Sector, *, viewer: Principal, now: datetime) -> list[SectorPlace]:
    """Return the places of a sector that the caller may see, the store's first."""
    return [*_stored(sector, viewer=viewer, now=now), *_under_way(sector), *_pieces(sector)]


def _stored(sector: Sector, *, viewer: Principal, now: datetime) -> Iterator[SectorPlace]:
    """Return the store on each host that has it attached."""
    if not sector.store:
        return
    what = "sealed" if sector.key_comm_r is None else "update"
    looks = {row.store: row for row in sector_checks(sector.miner, [sector.number]).get(sector.number, [])}
    look = looks.get(sector.store)
    looked_at = None if look is None else look.checked_at
    finding = "" if look is None or look.is_good else look.reason
    rows = stores_visible(viewer, now=now).filter(tenant_id=sector.tenant_id, name=sector.store)
    store = rows.first()
    attached = [] if store is None else attachments_of(store)
    folder = "update" if what == "update" else "sealed"
    for row in attached:
        yield SectorPlace(
            what=what,
            store=sector.store,
            host=row.worker.name,
            path=f"{row.path}/{folder}/s-t0{sector.miner.actor_id}-{sector.number}",
            condition=row.condition,
            looked_at=looked_at,
            finding=finding,
        )
    if not attached:
        yield SectorPlace(
            what=what, store=sector.store, condition="DETACHED", looked_at=looked_at, finding=finding
        )


def _under_way(sector: Sector) -> Iterator[SectorPlace]:
    """Return the host that has the files of a sector that is not done."""
    job = Job.objects.filter(sector=sector).select_related("sticky_worker").order_by("pk").first()
    if job is not None and job.sticky_worker is not None and sector.state not in FINAL_STATES:
        told = getattr(sector, "damocles", None)
        path = "" if told is None else told.location
        yield SectorPlace(what="work", host=job.sticky_worker.name, path=path)


def _pieces(sector: Sector) -> Iterator[SectorPlace]:
    """Return the pieces whose raw bytes are kept."""
    for piece in pieces_of_sector(sector.miner, sector.number):
        if piece.has_data:
            yield SectorPlace(what="piece", host="console", path=str(piece.piece_cid))
