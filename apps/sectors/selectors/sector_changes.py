"""Terminations and extensions of sectors that a caller may know of."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet

from apps.core.uuids import is_uuid
from apps.sectors.errors.changes import ChangeUnknown
from apps.sectors.models import Sector, SectorChange
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline.changes import OPEN_CHANGES


def changes_open(viewer: Principal) -> dict[int, SectorChange]:
    """Return the terminations and extensions that are under way, by the sector's key."""
    rows = changes_visible(viewer).filter(state__in=OPEN_CHANGES)
    return {row.sector_id: row for row in rows.select_related(None).only("sector_id", "kind", "state")}


def changes_visible(viewer: Principal) -> QuerySet[SectorChange]:
    """Return the terminations and extensions that this caller may know of, newest first."""
    rows = SectorChange.objects.select_related("sector__miner__tenant", "batch").defer("batch__params")
    if viewer.miners:
        rows = rows.filter(sector__miner__actor_id__in=viewer.miners)
    rows = rows if viewer.is_operator else rows.filter(sector__tenant_id=viewer.own_id)
    return rows.order_by("-pk")


def change_get(viewer: Principal, uuid: str) -> SectorChange:
    """Return one of them.  Raises ChangeUnknown."""
    change = changes_visible(viewer).filter(uuid=uuid).first() if is_uuid(uuid) else None
    if change is None:
        raise ChangeUnknown(uuid)
    return change


def changes_newest(sectors: Iterable[Sector]) -> dict[int, SectorChange]:
    """Return each sector's newest termination or extension, by the sector's key, in one query."""
    rows = SectorChange.objects.filter(sector__in=[sector.pk for sector in sectors])
    rows = rows.select_related("sector__miner", "batch").defer("batch__params")
    return {row.sector_id: row for row in rows.order_by("pk")}
