"""Clients' pieces into new sectors: largest first, so that each lies aligned and no room is lost between.

Pieces that are for a snap-up alone are left to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate

import structlog
from django.db import transaction

from apps.chain.node.isolation import for_each_isolated
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core.disk import DiskLevel, disk_space
from apps.core.errors import NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.miners.models import Miner
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.services.ownership import miner_lock
from apps.miners.states import MinerState
from apps.pieces.models import Piece
from apps.pieces.services.restored_data import leftover_remove
from apps.pieces.services.terms import (
    loss_wait_note,
    terms_check,
    terms_note,
    terms_turn_note,
    wait_note,
)
from apps.pieces.states import PiecePurpose, PieceState
from apps.sectors.errors.sectors import NothingWaits
from apps.sectors.models import BatchSettings, Sector
from apps.sectors.rules.first_epochs import late_refusal
from apps.sectors.rules.lifetimes import fits_later, lifetime_refusal
from apps.sectors.rules.params import pieces_column, pieces_filled
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.first_epochs import seal_first_epoch_read
from apps.sectors.selectors.proof_forms import can_prove
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.sealing.placements import piece_place
from apps.sectors.services.sealing.pledge import sectors_begin
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.policy import Network
from poolsite.filecoin.sector import SIZE_64GIB

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PackedSector:
    """The pieces of one sector to be."""

    size: int
    pieces: list[Piece] = field(default_factory=list)

    @property
    def used(self) -> int:
        """Padded bytes of its pieces."""
        return sum(piece.padded_size for piece in self.pieces)

    @property
    def is_full(self) -> bool:
        """Return whether no piece has room any more."""
        return self.used == self.size or len(self.pieces) == pieces_max_compute(self.size)

    def fits(self, piece: Piece) -> bool:
        """Return whether there is room for another piece."""
        return not self.is_full and self.used + piece.padded_size <= self.size

    @property
    def offsets(self) -> list[int]:
        """Return where each piece begins."""
        return [0, *accumulate(piece.padded_size for piece in self.pieces)][:-1]


def pieces_max_compute(sector_size: int) -> int:
    """Return the most pieces of one sector: its commit names each in up to 80 bytes of one message.

    Source: lotus storage/pipeline/sealing.go getDealPerSectorLimit.
    """
    return 256 if sector_size < SIZE_64GIB else 512


def pieces_plan(
    pieces: Sequence[Piece], *, sector_size: int, refusal: Callable[[Sequence[Piece]], str] = lambda _: ""
) -> list[PackedSector]:
    """Put pieces into as few sectors as are needed: each, the largest first, into the first with room.

    Sizes are powers of two, so what goes before a piece is always a multiple of its size.  Pieces that share
    a sector are those of which `refusal` has no reason against that; one that it has a reason against by
    itself is alone, and no other piece is tried with it.
    """
    sectors: list[PackedSector] = []
    alone: list[PackedSector] = []
    for piece in sorted(pieces, key=lambda one: (-one.padded_size, one.state_since, one.pk)):
        if refusal([piece]):
            alone.append(PackedSector(sector_size, [piece]))
            continue
        room = next((one for one in sectors if one.fits(piece) and not refusal([*one.pieces, piece])), None)
        if room is None:
            sectors.append(room := PackedSector(sector_size))
        room.pieces.append(piece)
    return [*sectors, *alone]


def pieces_pack(work: SealingContext) -> None:
    """Begin a sector for the pieces that are due, of each miner; one in trouble stops no other."""
    waiting = Piece.objects.filter(
        state=PieceState.READY, purpose=PiecePurpose.ANY, miner__state=MinerState.ACTIVE
    )
    miners = Miner.objects.filter(pk__in=waiting.values("miner")).exclude(pk__in=miners_unrecovered())
    if not miners or not can_prove(work.network) or disk_space().level is DiskLevel.FULL:
        return
    for_each_isolated(
        list(miners.select_related("tenant", "batch_settings").order_by("pk")),
        lambda miner: _miner_pack(miner, work),
        event="pieces_not_packed",
    )


def _miner_pack(miner: Miner, work: SealingContext) -> None:
    work = replace(work, policy=batch_policy(miner, work.policy))
    left_out = unread_terms_read(miner, pieces=_waiting_pieces(miner), work=work)
    while unfit := _due_pack(miner, work, without=left_out):
        left_out |= unfit  # the others are placed anew


def _due_pack(miner: Miner, work: SealingContext, *, without: Collection[int]) -> set[int]:
    """Begin the sectors that are due without some pieces; return the further pieces that go into none now."""
    pieces = [piece for piece in _waiting_pieces(miner) if piece.pk not in without]
    asked_at, unfit = packing_request_read(miner), set[int]()
    height, network = work.head.height, work.network
    first = seal_first_epoch_read(pieces, height=height, network=network)
    for packed in _plan(miner, pieces, first=first, height=height, network=network):
        if not is_due(packed, work=work, asked_at=asked_at):
            continue
        refused = {piece.pk for piece in packed.pieces if not _may_begin(piece, first, work)}
        if refused:
            unfit |= refused
            continue
        allocated = numbers_allocated(work.client, miner.address)
        sector_pack(miner, packed=packed, work=work, allocated=allocated)
    return unfit


def _may_begin(piece: Piece, first: int, work: SealingContext) -> bool:
    """Return whether a new sector may be begun for a piece; one whose terms none can ever meet ends.

    `first`: the epoch from which on such a sector can be active.

    It waits if one that begins later can meet them, or a committed one that it may go into, and while its
    bytes are gone.  One that could not be active in time, by what sectors took here, waits until its time has
    passed: it may be sent again with another.
    """
    if piece.has_unread_terms or loss_wait_note(piece) or not has_good_terms(piece, work=work):
        return False
    height, network = work.head.height, work.network
    reason = lifetime_refusal([piece], height=height, network=network)
    if not reason:
        late = late_refusal(piece, first=first)
        if late:
            wait_note(piece, reason=late)
        return not late
    if work.policy.snap_up_first or fits_later(piece, height=height, network=network):
        wait_note(piece, reason=reason)
    else:
        piece_refuse(piece, reason=reason, work=work)
    return False


def unread_terms_read(miner: Miner, *, pieces: Sequence[Piece], work: SealingContext) -> set[int]:
    """Read terms of some pieces that were not read yet; return the keys of those that stay unread.

    Before a piece is due the chain may lack them: its client may have sent the data first.
    """
    asked_at = packing_request_read(miner)
    for piece in terms_turn_note([piece for piece in pieces if piece.has_unread_terms]):
        if is_due(PackedSector(miner.sector_size, [piece]), work=work, asked_at=asked_at):
            has_good_terms(piece, work=work)
        else:
            terms_note(work.client, pieces=[piece], key=work.head.key)
    return {piece.pk for piece in pieces if piece.has_unread_terms}


def has_good_terms(piece: Piece, *, work: SealingContext) -> bool:
    """Return whether the chain takes a piece now; one whose terms are good no more ends."""
    head, finality = work.head, work.network.chain_finality
    reason = terms_check(piece, client=work.client, height=head.height, key=head.key, finality=finality)
    if reason:
        piece_refuse(piece, reason=reason, work=work)
    return reason == ""


def _waiting_pieces(miner: Miner) -> list[Piece]:
    """Return a miner's pieces that wait for a new sector."""
    rows = Piece.objects.filter(miner=miner, state=PieceState.READY, purpose=PiecePurpose.ANY, has_data=True)
    return list(rows.select_related("miner").order_by("pk"))


def is_due(packed: PackedSector, *, work: SealingContext, asked_at: datetime | None = None) -> bool:
    """Return whether a sector is begun: it is full, a piece has waited long, or must be active soon.

    So is one with a piece that was there when somebody asked not to wait.
    """
    if packed.is_full:
        return True
    oldest = min(piece.state_since for piece in packed.pieces)
    if asked_at is not None and oldest <= asked_at:
        return True
    if work.now - oldest >= timedelta(seconds=work.policy.pack_wait_s):
        return True
    ends = [piece.last_epoch for piece in packed.pieces if piece.last_epoch is not None]
    return bool(ends) and min(ends) - work.head.height <= work.policy.pack_start_slack_epochs


def packing_plan(miner: Miner) -> list[PackedSector]:
    """Return the sectors that a miner's waiting pieces would begin now."""
    pieces, head = _waiting_pieces(miner), head_current()
    if head is None:
        return pieces_plan(pieces, sector_size=miner.sector_size)
    height, network = head.height, network_current()
    first = seal_first_epoch_read(pieces, height=height, network=network)
    in_time = [piece for piece in pieces if not late_refusal(piece, first=first)]
    return _plan(miner, in_time, first=first, height=height, network=network)


def _plan(
    miner: Miner, pieces: Sequence[Piece], *, first: int, height: int, network: Network
) -> list[PackedSector]:
    def refusal(some: Sequence[Piece]) -> str:
        late = late_refusal(some[-1], first=first)  # the others were tried before it
        return late or lifetime_refusal(some, height=height, network=network)

    return pieces_plan(pieces, sector_size=miner.sector_size, refusal=refusal)


def packing_request(miner: Miner, *, now: datetime, by: Principal) -> list[PackedSector]:
    """Begin the sectors of all waiting pieces with the next head, filled up with zeros; return them.

    Raises NotAllowed, NothingWaits.
    """
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    plan = packing_plan(miner)
    if not plan:
        raise NothingWaits(gettext("no piece of {miner} is waiting for a new sector").format(miner=miner))
    with transaction.atomic():
        row, _ = BatchSettings.objects.select_for_update().get_or_create(miner=miner)
        row.pack_asked_at = now
        row.save(update_fields=["pack_asked_at", "updated_at"])
        after = [{"pieces": [str(one) for one in packed.pieces], "bytes": packed.used} for packed in plan]
        audit_record(principal=by, action="miner.pieces-seal", target=str(miner), after={"sectors": after})
        publish(Change("miner", miner.pk, miner.tenant_id))
    return plan


def packing_request_read(miner: Miner) -> datetime | None:
    """Return when somebody asked last that pieces wait no longer; None: nobody did."""
    found: datetime | None = getattr(getattr(miner, "batch_settings", None), "pack_asked_at", None)
    return found


@transaction.atomic
def sector_pack(
    miner: Miner, *, packed: PackedSector, work: SealingContext, allocated: Sequence[range]
) -> Sector | None:
    """Begin one sector and place its pieces in it, both or neither; None if a piece went elsewhere."""
    miner_lock(miner)
    keys = [piece.pk for piece in packed.pieces]
    ready = Piece.objects.filter(pk__in=keys, state=PieceState.READY, has_data=True)
    free = ready.filter(purpose=PiecePurpose.ANY)
    locked = free.select_for_update().order_by("pk")
    if len(locked) != len(keys):
        return None
    filled = pieces_filled(packed.pieces, sector_size=miner.sector_size)
    [sector] = sectors_begin(miner, count=1, now=work.now, allocated=allocated, pieces=pieces_column(filled))
    for piece, offset in zip(packed.pieces, packed.offsets, strict=True):
        piece_place(piece, number=sector.number, offset=offset, now=work.now)
    log.info("sector_packed", sector=sector.number, miner=str(miner), pieces=len(keys), bytes=packed.used)
    return sector


def piece_refuse(piece: Piece, *, reason: str, work: SealingContext) -> None:
    """End a piece that the chain would not take: nothing is sealed for it."""
    with transaction.atomic():
        data = {"has_data": False, "has_leftover": True}
        advance(piece, "REFUSE", error=reason, **data, state_since=work.now, updated_at=work.now)
        publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
    leftover_remove(piece)
    log.warning("piece_refused", piece=str(piece), reason=reason)
