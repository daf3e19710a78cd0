"""Sectors and stores as damocles' command line asks for them: under way or not, by what is done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apps.pieces.models import Piece
from apps.sectors.damocles_models import DamoclesSector
from apps.sectors.selectors import sectors_visible
from poolsite.wire.damocles import SectorSide, SectorWork
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import FINAL_STATES, RUN_FINAL

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from apps.sectors.models import Sector
    from apps.sectors.store_models import Store
    from apps.users.principals import Principal

LISTED_MAX: Final = 10_000
"""Sectors of one answer, the newest."""
RUN_KINDS: Final[dict[int, str]] = {SectorWork.SNAP_UP: JobKind.SNAP_UP, SectorWork.REBUILD: JobKind.REBUILD}


def sectors_of_side(viewer: Principal, side: str) -> QuerySet[Sector]:
    """Return the sectors under way, or those that prove or are over."""
    rows = sectors_visible(viewer).select_related("miner")
    done = {"state__in": FINAL_STATES}
    return rows.filter(**done) if side == SectorSide.OFFLINE else rows.exclude(**done)


def sectors_listed(viewer: Principal, side: str, work: int) -> list[Sector]:
    """Return the newest sectors by what is done with them; a snap-up or rebuild is of one that proves on."""
    kind = RUN_KINDS.get(work)
    if kind is not None:
        rows = sectors_visible(viewer).select_related("miner").filter(runs__kind=kind)
        over = {"runs__kind": kind, "runs__state__in": RUN_FINAL}
        rows = rows.filter(**over) if side == SectorSide.OFFLINE else rows.exclude(**over)
    elif work in (SectorWork.ALL, SectorWork.SEALING):
        rows = sectors_of_side(viewer, side)
    else:
        return []
    return list(rows.order_by("-pk").distinct()[:LISTED_MAX])


def sectors_with_pieces(viewer: Principal, side: str, **wanted: Any) -> list[Sector]:
    """Return the sectors that pieces lie in, by the pieces' own columns."""
    placed = Piece.objects.filter(**wanted).exclude(sector_number=None).order_by("pk")
    places = list(placed.values_list("miner", "sector_number")[:LISTED_MAX])
    rows = sectors_of_side(viewer, side).filter(number__in={number for _, number in places})
    mine = {(row.miner_id, row.number): row for row in rows}
    return [mine[place] for place in dict.fromkeys(places) if place in mine]


def sector_on_side(viewer: Principal, side: str, sector: Sector) -> bool:
    """Return whether a sector is among those under way, or among the others."""
    return sectors_of_side(viewer, side).filter(pk=sector.pk).exists()


def reservations_of(store: Store) -> list[DamoclesSector]:
    """Return the sectors for which room is kept in a store."""
    rows = DamoclesSector.objects.filter(reserved_store=store.name, sector__tenant_id=store.tenant_id)
    return list(rows.select_related("sector__miner").order_by("pk"))
