"""Sectors and stores as damocles' command line asks for them: under way or not, by what is done with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.core.marked_texts import gettext
from apps.messages.selectors.messages import messages_by_ids
from apps.miners.models import Miner
from apps.miners.selectors.miners import miners_visible
from apps.pieces.models import Piece
from apps.pieces.selectors import piece_name
from apps.sectors.models import DAMOCLES, NAMELESS, PipelineRun, Sector, SectorCopy, Store, Worker
from apps.sectors.rules.hardware import PINGS
from apps.sectors.selectors.sectors import sectors_visible
from apps.sectors.selectors.store_checks import bad_files_text
from apps.sectors.selectors.stores import provers_of_store
from apps.sectors.states import CopyCondition
from apps.users.rules.principals import Principal
from poolsite.wire.damocles import SectorSide, SectorWork
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import FINAL_STATES, RUN_FINAL, SectorState
from poolsite.wire.pipeline.changes import OPEN_CHANGES, ChangeKind, ChangeState

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
        rows = sectors_visible(viewer).select_related("miner")
        runs = PipelineRun.objects.filter(sector=OuterRef("pk"), kind=kind)
        is_open = Exists(runs.exclude(state__in=RUN_FINAL))
        rows = rows.filter(Exists(runs), ~is_open) if side == SectorSide.OFFLINE else rows.filter(is_open)
    elif work in (SectorWork.ALL, SectorWork.SEALING):
        rows = sectors_of_side(viewer, side)
    else:
        return []
    return list(rows.order_by("-pk")[:LISTED_MAX])


def sectors_with_pieces(
    viewer: Principal, side: str, *, deal: int | None = None, piece_cid: str = ""
) -> list[Sector]:
    """Return the sectors that the pieces of a deal, or of a commitment, lie in.  Raises PieceUnknown."""
    wanted = piece_name(piece_cid).committed if piece_cid else Q(deal=deal)
    own = Piece.objects.filter(wanted, miner__in=miners_visible(viewer))
    placed = own.exclude(sector_number=None).order_by("pk")
    places = list(placed.values_list("miner", "sector_number")[:LISTED_MAX])
    rows = sectors_of_side(viewer, side).filter(number__in={number for _, number in places})
    mine = {(row.miner_id, row.number): row for row in rows}
    return [mine[place] for place in dict.fromkeys(places) if place in mine]


def sector_on_side(viewer: Principal, side: str, sector: Sector) -> bool:
    """Return whether a sector is among those under way, or among the others."""
    return sectors_of_side(viewer, side).filter(pk=sector.pk).exists()


def unprovable(
    viewer: Principal, miner: Miner, sealed: Mapping[int, bytes | None], *, is_strict: bool, now: datetime
) -> dict[int, str]:
    """Return which of these sectors could not be proved now, and why, by what hosts told of their files.

    `sealed` are their numbers, each with the comm_r that is asked for, if one is.  Strictly, files that no
    host has read and found good make a sector one that could not.
    """
    rows = sectors_visible(viewer).select_related(None).filter(miner=miner, number__in=list(sealed))
    found = {row.number: row for row in rows}
    used = Store.objects.filter(tenant_id=miner.tenant_id, name__in={row.store for row in found.values()})
    stores = {row.name: row for row in used}
    read = {name for name, row in stores.items() if provers_of_store(row, now=now)}
    copies = SectorCopy.objects.filter(sector__in=list(found.values()), store__in=stores.values())
    known = {(row.sector_id, row.store.name): row for row in copies.select_related("store")}
    reasons: dict[int, str] = {}
    for number, comm_r in sealed.items():
        row = found.get(number)
        copy = None if row is None else known.get((row.pk, row.store))
        why = _why_unprovable(row, copy, comm_r=comm_r, read=read, is_strict=is_strict)
        if why:
            reasons[number] = why
    return reasons


def _why_unprovable(
    row: Sector | None,
    copy: SectorCopy | None,
    *,
    comm_r: bytes | None,
    read: Collection[str],
    is_strict: bool,
) -> str:
    if row is None:
        return "sector state not found"
    if row.state != SectorState.PROVING:
        return gettext("the sector is {state}").format(state=row.state.lower())
    if comm_r is not None and comm_r != bytes(row.comm_r or b""):
        return gettext("its comm_r is not the one requested")
    if row.store not in read:
        return (
            gettext("no prover can read its store {store}").format(store=row.store)
            if row.store
            else gettext("no store has its files")
        )
    if copy is not None and copy.condition == CopyCondition.BAD:
        return bad_files_text(copy) or gettext("its files are damaged")
    if is_strict and (copy is None or copy.condition not in (CopyCondition.GOOD, CopyCondition.NOTED)):
        return gettext("no host has checked its files in {store} yet").format(store=row.store)
    return ""


def damocles_hosts(viewer: Principal) -> list[Worker]:
    """Return the damocles-workers that have pinged, by name, but for those whose pings were forgotten."""
    rows = Worker.objects.filter(tenant_id=viewer.own_id, retired_at=None, kinds__contains=[DAMOCLES])
    rows = rows.filter(hardware__has_key=PINGS)
    return list(rows.exclude(uid__startswith=NAMELESS).order_by("name", "pk"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Termination:
    """How far a sector's termination is; zeros and nothing where none is under way or has landed."""

    asked_height: int = 0
    message_cid: str = ""
    landed_height: int = 0


def is_terminating(sector: Sector) -> bool:
    """Return whether a termination of a sector is under way."""
    return sector.changes.filter(kind=ChangeKind.TERMINATE, state__in=OPEN_CHANGES).exists()


def termination_of(sector: Sector) -> Termination:
    """Return how far a sector's newest termination is; one that failed or was cancelled is none."""
    rows = sector.changes.filter(kind=ChangeKind.TERMINATE).select_related("batch").defer("batch__params")
    change = rows.order_by("-pk").first()
    if change is None or change.state not in (*OPEN_CHANGES, ChangeState.TERMINATE_LANDED):
        return Termination()
    batch = change.batch
    message = None if batch is None else messages_by_ids([batch.message_id]).get(batch.message_id)
    is_landed = batch is not None and change.state == ChangeState.TERMINATE_LANDED
    return Termination(
        asked_height=change.queued_height,
        message_cid="" if message is None else message.landed_cid or message.cid,
        landed_height=(batch.landed_height or 0) if batch is not None and is_landed else 0,
    )
