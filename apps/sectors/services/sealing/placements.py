"""Clients' pieces in sectors: what the chain is told of them, and what becomes of them with their sector."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, cast

from django.db import transaction
from django.db.models import Exists, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Least

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.pieces.states import UNCOMMITTED, PieceState
from apps.sectors.models import PipelineRun, Sector
from apps.sectors.rules.params import has_data, manifest_of, pieces_of
from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest
from poolsite.filecoin.cbor import decode
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.fr32 import unpadded_bytes
from poolsite.filecoin.policy import Network
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import UNSENT, SectorState, SnapState

UNLANDED: Final = (*UNSENT, SnapState.UPDATE_SENT)
"""States of a snap-up in which the chain does not have its data yet."""


def manifests_read(miner: Miner, *, numbers: Sequence[int]) -> dict[int, tuple[PieceActivationManifest, ...]]:
    """Return what the commit says of the pieces of sectors, by number, in order of place."""
    placed = placed_pieces_read(miner, numbers=numbers)
    return {number: tuple(manifest_of(piece) for piece in pieces) for number, pieces in placed.items()}


def placed_pieces_read(miner: Miner, *, numbers: Sequence[int]) -> dict[int, list[Piece]]:
    """Return the pieces of sectors, by number, in order of place."""
    found: dict[int, list[Piece]] = defaultdict(list)
    for piece in Piece.objects.filter(miner=miner, sector_number__in=numbers).order_by("offset"):
        found[piece.sector_number or 0].append(piece)
    return found


def verified_size_compute(manifests: Sequence[PieceActivationManifest]) -> int:
    """Return the padded bytes that claim an allocation; a deal alone makes none of them count more."""
    return sum(piece.size for piece in manifests if piece.verified_allocation_key is not None)


def sector_start_epochs_read(sectors: Sequence[Sector]) -> dict[int, int]:
    """Return the epoch before which the data of a miner's sectors must be active, by number, where one is."""
    numbers = [sector.number for sector in sectors if has_data(sector)]
    return piece_start_epochs_read(sectors[0].miner, numbers=numbers) if numbers else {}


def piece_start_epochs_read(miner: Miner, *, numbers: Sequence[int]) -> dict[int, int]:
    """Return the epoch before which the pieces placed in sectors must be active, by number, where one is."""
    rows = Piece.objects.filter(miner=miner, sector_number__in=numbers)
    rows = rows.exclude(start_epoch=None, terms_epoch=None)
    first = Min(Least("start_epoch", "terms_epoch"))  # PostgreSQL's passes over what is null
    found = rows.order_by().values("sector_number").annotate(first=first)
    return dict(cast("Iterable[tuple[int, int]]", found.values_list("sector_number", "first")))


def piece_place(piece: Piece, *, number: int, offset: int, now: datetime) -> None:
    """Note the sector that a piece goes into; why it waited for one is over."""
    _move(piece, "PACK", now=now, sector_number=number, offset=offset, error="")


def placements_follow(*, height: int, network: Network, now: datetime) -> None:
    """Move pieces that are not active as their sectors moved: active, aborted, ended.

    A piece of an aborted sector waits for another one; of one that has ended only when it is sent again.
    What becomes of active ones, `placements_compare` notes as their sectors change.
    """
    sector = Sector.objects.filter(miner=OuterRef("miner"), number=OuterRef("sector_number"))
    # Data on their way into a proven sector are active when the update has landed.
    coming = PipelineRun.objects.filter(
        sector__miner=OuterRef("miner"),
        sector__number=OuterRef("sector_number"),
        kind=JobKind.SNAP_UP,
        state__in=UNLANDED,
    )
    expired = height - network.chain_finality - network.proving.period
    is_over = Exists(
        sector.filter(
            Q(state=SectorState.TERMINATED)
            | Q(state=SectorState.PROVING, active=False, expiration__lte=expired)
        )
    )
    packed = Piece.objects.filter(state=PieceState.PACKED)
    living = sector.exclude(state=SectorState.ABORTED)
    for piece in packed.filter(~Exists(living)).select_related("miner"):
        _move(piece, "UNPACK", now=now, sector_number=None, offset=None)
    for piece in packed.filter(Exists(sector.filter(active=True)), ~Exists(coming)).select_related("miner"):
        _move(piece, "ACTIVATE", now=now)
    for piece in Piece.objects.filter(Exists(coming), state=PieceState.ACTIVE).select_related("miner"):
        _move(piece, "DEACTIVATE", now=now)  # its update has left the chain
    for piece in packed.filter(is_over, ~Exists(coming)).select_related("miner"):
        _move(piece, "END", now=now)


def placements_compare(
    miner: Miner,
    *,
    numbers: Collection[int] | None = None,
    live: Collection[int] | None = None,
    now: datetime,
) -> None:
    """Move a miner's active and ended pieces as their sectors say, in these sectors or in all of its.

    Those that `placements_follow` does not read at each head: there are ever more of them.  A piece in a
    faulty sector stays active, as its deal does, while the sector is among the `live` ones on chain; where
    these are not given, while it is proven from one period to the next.
    """
    pieces = Piece.objects.filter(miner=miner).select_related("miner")
    if numbers is not None:
        pieces = pieces.filter(sector_number__in=numbers)
    own = Sector.objects.filter(miner=miner, number=OuterRef("sector_number"))
    is_active = Exists(own.filter(active=True))
    is_sealed = Exists(own.filter(state=SectorState.PROVING))
    for piece in pieces.filter(~is_active, state=PieceState.ACTIVE).annotate(is_sealed=is_sealed):
        if not piece.is_sealed or (live is not None and piece.sector_number not in live):
            _move(piece, "DEACTIVATE", now=now)
    for ended in pieces.filter(is_active, state=PieceState.ENDED):
        _move(ended, "REVERT", now=now)


def unlanded_snap_ups_find(sectors: Collection[Sector]) -> QuerySet[PipelineRun]:
    """Return the snap-ups of these sectors whose data the chain does not have yet."""
    return PipelineRun.objects.filter(sector__in=sectors, kind=JobKind.SNAP_UP, state__in=UNLANDED)


def pieces_unplace(miner: Miner, *, number: int, now: datetime) -> None:
    """Release the pieces that were to go into a sector; they wait for another one."""
    for piece in Piece.objects.filter(miner=miner, sector_number=number, state=PieceState.PACKED):
        _move(piece, "UNPACK", now=now, sector_number=None, offset=None)


def pieces_recover(
    miner: Miner, *, number: int, manifests: Sequence[PieceActivationManifest], now: datetime, at: int = 0
) -> list[Piece]:
    """Note that pieces are in a sector, as a message or record tells it; return them in order of place.

    The first lies `at` or at the next place that is aligned.  Those that the database has forgotten get
    their rows back, without their bytes.
    """
    found = []
    for manifest in manifests:
        at = -(-at // manifest.size) * manifest.size
        terms = _activation_terms(manifest)
        rows = Piece.objects.filter(miner=miner, piece_cid=str(manifest.cid), **terms)
        rows = rows.exclude(state__in=UNCOMMITTED)
        piece = rows.first() or _recreated(miner, manifest, terms, now=now)
        if piece.state == PieceState.READY:
            piece_place(piece, number=number, offset=at, now=now)
        found.append(piece)
        at += manifest.size
    return found


def waiting_pieces_place(
    miner: Miner, *, number: int, column: Sequence[dict[str, Any]], now: datetime
) -> None:
    """Note that a sector which a host has begun holds pieces that the backup has as waiting."""
    at = 0
    for part in pieces_of(column):
        if part.payload_size:
            cid = str(commd_cid(part.comm_p))
            waiting = Piece.objects.filter(miner=miner, piece_cid=cid, state=PieceState.READY)
            piece = waiting.order_by("pk").first()
            if piece is not None:
                piece_place(piece, number=number, offset=at, now=now)
        at += part.size


def _activation_terms(manifest: PieceActivationManifest) -> dict[str, int | None]:
    """Return under what a message activates a piece."""
    key = manifest.verified_allocation_key
    deals = [decode(reported.payload) for reported in manifest.notify]
    return {
        "client": None if key is None else key.client,
        "allocation": None if key is None else key.id,
        "deal": next((deal for deal in deals if isinstance(deal, int)), None),
    }


def _recreated(
    miner: Miner, manifest: PieceActivationManifest, terms: dict[str, int | None], *, now: datetime
) -> Piece:
    """Write the row of a piece that came after the backup.

    How many bytes it had nobody knows any more: with the zeros behind them they have the same commitment.
    """
    return Piece.objects.create(
        miner=miner,
        state=PieceState.READY,
        state_since=now,
        piece_cid=str(manifest.cid),
        padded_size=manifest.size,
        payload_size=unpadded_bytes(manifest.size),
        has_data=False,
        actor="console",
        **terms,
    )


@transaction.atomic
def _move(piece: Piece, event: str, *, now: datetime, **data: Any) -> None:
    advance(piece, event, state_since=now, updated_at=now, **data)
    publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
