"""Clients' pieces in sectors: what the chain is told of them, and what becomes of them with their sector."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.pieces.models import Piece
from apps.pieces.states import PieceState
from apps.sectors.models import Sector
from apps.sectors.params import manifest_of
from apps.sectors.run_models import PipelineRun
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState, SnapState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.miners.models import Miner
    from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest


UNLANDED: Final = (
    SnapState.PIECES_ASSIGNED,
    SnapState.SNAP_ENCODED,
    SnapState.SNAP_PROVED,
    SnapState.SNAP_STORED,
    SnapState.UPDATE_SENT,
)
"""States of a snap-up in which the chain does not have its data yet."""


def manifests_of(miner: Miner, numbers: Sequence[int]) -> dict[int, tuple[PieceActivationManifest, ...]]:
    """Return what the commit says of the pieces of sectors, by number, in order of place."""
    found: dict[int, list[PieceActivationManifest]] = defaultdict(list)
    for piece in Piece.objects.filter(miner=miner, sector_number__in=numbers).order_by("offset"):
        found[piece.sector_number or 0].append(manifest_of(piece))
    return {number: tuple(manifests) for number, manifests in found.items()}


def piece_place(piece: Piece, *, number: int, offset: int, now: datetime) -> None:
    """Note the sector that a piece goes into."""
    _move(piece, "PACK", now=now, sector_number=number, offset=offset)


def placements_follow(*, now: datetime) -> None:
    """Move pieces as their sectors moved: active and not, aborted.

    A piece of an aborted sector waits for another one.
    """
    sector = Sector.objects.filter(miner=OuterRef("miner"), number=OuterRef("sector_number"))
    # Data on their way into a proven sector are active when the update has landed.
    coming = PipelineRun.objects.filter(
        sector__miner=OuterRef("miner"),
        sector__number=OuterRef("sector_number"),
        kind=JobKind.SNAP_UP,
        state__in=UNLANDED,
    )
    packed = Piece.objects.filter(state=PieceState.PACKED)
    living = sector.exclude(state=SectorState.ABORTED)
    for piece in packed.filter(~Exists(living)).select_related("miner"):
        _move(piece, "UNPACK", now=now, sector_number=None, offset=None)
    is_active = Exists(sector.filter(active=True)) & ~Exists(coming)
    for piece in packed.filter(is_active).select_related("miner"):
        _move(piece, "ACTIVATE", now=now)
    active = Piece.objects.filter(state=PieceState.ACTIVE)
    for piece in active.filter(~is_active).select_related("miner"):
        _move(piece, "DEACTIVATE", now=now)


def pieces_unplace(miner: Miner, number: int, *, now: datetime) -> None:
    """Release the pieces that were to go into a sector; they wait for another one."""
    for piece in Piece.objects.filter(miner=miner, sector_number=number, state=PieceState.PACKED):
        _move(piece, "UNPACK", now=now, sector_number=None, offset=None)


@transaction.atomic
def _move(piece: Piece, event: str, *, now: datetime, **data: Any) -> None:
    advance(piece, event, state_since=now, updated_at=now, **data)
    publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
