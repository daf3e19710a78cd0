"""Where a sector's files lie: stores by host and path, the host that works on it, copies of pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from apps.pieces.selectors import pieces_of_sector
from apps.proving.models import SectorCheck
from apps.proving.selectors.checks import sector_checks
from apps.sectors.models import Job, Sector, SectorCopy
from apps.sectors.selectors.store_checks import bad_files_text, copies_of
from apps.sectors.selectors.stores import attachments_of, stores_visible
from apps.sectors.states import CopyCondition
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline import FINAL_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorPlace:
    """One place with files of a sector."""

    what: str
    """`sealed`, `update`, `work` or `piece`."""
    store: str = ""
    host: str = ""
    path: str = ""
    store_condition: str = ""
    """Of the store on that host."""
    is_counted: bool = True
    """Whether the sector's row names this store; else it is another copy."""
    condition: str = ""
    """A `CopyCondition` of the files there; empty: they were not checked."""
    reason: str = ""
    """What is wrong with them, or why they could not be read."""
    checked_at: datetime | None = None


def sector_places(sector: Sector, *, viewer: Principal, now: datetime) -> list[SectorPlace]:
    """Return the places of a sector that the caller may see, the store's first."""
    return [*_stored(sector, viewer=viewer, now=now), *_under_way(sector), *_pieces(sector)]


def _stored(sector: Sector, *, viewer: Principal, now: datetime) -> Iterator[SectorPlace]:
    """Return by store, the one that its row names first, each host that has it attached."""
    copies = {one.store.name: one for one in copies_of(sector)}
    others = [name for name in copies if name != sector.store]
    names = [*([sector.store] if sector.store else []), *others]
    if not names:
        return
    what = "sealed" if sector.key_comm_r is None else "update"
    checks = {row.store: row for row in sector_checks(sector.miner, [sector.number]).get(sector.number, [])}
    rows = stores_visible(viewer, now=now).filter(tenant_id=sector.tenant_id, name__in=names)
    stores = {row.name: row for row in rows}
    file = f"{what}/s-t0{sector.miner.actor_id}-{sector.number}"
    for name in names:
        place = SectorPlace(
            what=what,
            store=name,
            store_condition="DETACHED",
            is_counted=name == sector.store,
            **_found(copies.get(name), checks.get(name)),
        )
        attached = attachments_of(stores[name]) if name in stores else []
        for row in attached:
            yield replace(
                place, host=row.worker.name, path=f"{row.path}/{file}", store_condition=row.condition
            )
        if not attached:
            yield place


def _found(copy: SectorCopy | None, check: SectorCheck | None) -> dict[str, Any]:
    """Return what is known of the files in a store: by a check of all of them, or a later one before a proof
    that found them bad.
    """
    is_later = check is not None and (
        copy is None or copy.checked_at is None or (check.checked_at > copy.checked_at and not check.is_good)
    )
    if check is not None and is_later:
        condition = CopyCondition.GOOD if check.is_good else CopyCondition.BAD
        reason = "" if check.is_good else check.reason
        return {"condition": str(condition), "reason": reason, "checked_at": check.checked_at}
    if copy is None:
        return {}
    reason = bad_files_text(copy) or copy.reason
    return {"condition": copy.condition, "reason": reason, "checked_at": copy.checked_at}


def _under_way(sector: Sector) -> Iterator[SectorPlace]:
    """Return the host that has the files of a sector that is not done."""
    job = Job.objects.filter(sector=sector).select_related("sticky_worker").order_by("pk").first()
    if job is not None and job.sticky_worker is not None and sector.state not in FINAL_STATES:
        reported = getattr(sector, "damocles", None)
        path = "" if reported is None else reported.location
        yield SectorPlace(what="work", host=job.sticky_worker.name, path=path)


def _pieces(sector: Sector) -> Iterator[SectorPlace]:
    """Return the pieces whose raw bytes are kept."""
    for piece in pieces_of_sector(sector.miner, sector.number):
        if piece.has_data:
            yield SectorPlace(what="piece", host="console", path=str(piece.piece_cid))
