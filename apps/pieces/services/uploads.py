"""Taking in raw bytes: an upload in one request or in parts.

The bytes go to disk as they come.  A row stands before its file does, and a file goes before its row, so
that a kill leaves nothing that no row names; `retention` clears away what nobody ended.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q

from apps.core import clock
from apps.core.connection_faults import fault_text
from apps.core.errors import BadValue
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, as_reason
from apps.core.transitions import advance
from apps.miners.errors import MinerNotReady
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.pieces.data.blocks import index_unlink
from apps.pieces.data.commitments import GROWING
from apps.pieces.data.files import Source, bytes_write, piece_opened, piece_path, piece_unlink, room_require
from apps.pieces.data.sources import url_shown
from apps.pieces.errors import (
    BadOffset,
    CommitmentFailed,
    PieceEmpty,
    PieceFailed,
    PieceInSector,
    PieceMismatch,
    PieceTooLarge,
    PieceTooLate,
    PieceUnknown,
    UploadIncomplete,
)
from apps.pieces.models import Piece
from apps.pieces.rules import file_name_of_url, file_name_require
from apps.pieces.selectors import fetch_same, piece_same
from apps.pieces.services.checks import piece_check
from apps.pieces.services.quotas import quota_require
from apps.pieces.services.reservations import Room
from apps.pieces.services.restored_data import leftover_remove
from apps.pieces.states import UNCOMMITTED, UNPLACED, PiecePurpose, PieceState
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.cids import BadCid, cid_parse, cid_to_commd
from poolsite.filecoin.fr32 import unpadded_bytes
from poolsite.filecoin.piece_cids import SizedPiece, is_sized_cid, sized_cid_read

log = structlog.get_logger(__name__)

NOWHERE: Final = Q(sector_number=None) | Q(state=PieceState.ENDED)
"""Pieces that no sector needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceSpec:
    """What a caller says of a piece; None leaves it open."""

    piece_cid: str = ""
    """Of version 1, or of version 2, which names the raw bytes too."""
    padded_size: int | None = None
    payload_size: int | None = None
    """Raw bytes."""
    client: int | None = None
    allocation: int | None = None
    deal: int | None = None
    start_epoch: int | None = None
    first_epoch: int | None = None
    """The first epoch at which data that arrive now can be active; None: not known."""
    purpose: str = PiecePurpose.ANY
    held_for: UUID | None = None
    """Deal that must be published before it goes into a sector."""
    term_min: int | None = None
    """Epochs that its sector must live at least; of a piece with an allocation the chain says it."""
    file_name: str = ""


def piece_change_publish(piece: Piece) -> None:
    """Publish to open pages that a piece has changed."""
    publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))


def spec_check(miner: Miner, *, spec: PieceSpec) -> None:
    """Refuse what cannot become a piece of the miner's sectors.

    Raises MinerNotReady, BadValue, PieceTooLarge, PieceEmpty, DiskFull.
    """
    if spec.purpose not in PiecePurpose.values:
        raise BadValue(
            gettext("must be one of {values}").format(values=", ".join(PiecePurpose.values)), field="purpose"
        )
    if miner.state != MinerState.ACTIVE:
        raise MinerNotReady(gettext("{miner} does not exist on chain yet").format(miner=miner), field="miner")
    room = spec.padded_size
    if room is not None and (room < 128 or room.bit_count() != 1 or room > miner.sector_size):
        raise BadValue(
            gettext("must be a power of two from 128 to {sector_size}, the miner's sector size").format(
                sector_size=miner.sector_size
            ),
            field="Piece-Size",
        )
    if (spec.allocation is None) != (spec.client is None):
        raise BadValue(gettext("an allocation needs both a client and an ID"), field="allocation")
    if spec.payload_size is not None:
        if spec.payload_size < 1:
            raise PieceEmpty
        most = unpadded_bytes(room or miner.sector_size)
        if spec.payload_size > most:
            raise PieceTooLarge(most)
    room_require(spec.payload_size or 0)


def announced_read(spec: PieceSpec) -> SizedPiece | None:
    """Return what an announced CID of version 2 says; None for one of version 1, or none at all.

    Raises BadValue for a CID that is none of a piece, or that says another size than is announced.
    """
    if not spec.piece_cid:
        return None
    try:
        cid = cid_parse(spec.piece_cid)
        if not is_sized_cid(cid):
            cid_to_commd(cid)
            return None
        sized = sized_cid_read(cid)
    except BadCid as error:
        raise BadValue(
            gettext("is not a piece commitment: {error}").format(error=error), field="Piece-Cid"
        ) from None
    if spec.payload_size not in (None, sized.payload_size):
        raise BadValue(
            gettext("names a piece of {size} bytes, but {announced} bytes are announced").format(
                size=sized.payload_size, announced=spec.payload_size
            ),
            field="Piece-Cid",
        )
    return sized


def piece_build(
    miner: Miner, *, spec: PieceSpec, by: Principal, is_resumable: bool = False, source_url: str = ""
) -> Piece:
    """Return the unwritten row of a piece whose bytes are to come.

    Raises what `spec_check` does, PieceTooLate, BadValue for a CID that is none of a piece, or of another
    size, or for a bad file name.
    """
    file_name = file_name_require(spec.file_name) or file_name_of_url(source_url)
    sized = announced_read(spec)
    if sized is not None:
        spec = replace(spec, payload_size=sized.payload_size)
    spec_check(miner, spec=spec)
    if sized is not None:
        spec = replace(spec, piece_cid=str(sized.cid_in(spec.padded_size or sized.padded_size)))
    piece = Piece(
        miner=miner,
        state=PieceState.FETCHING if source_url else PieceState.UPLOADING,
        state_since=clock.now(),
        announced_cid=spec.piece_cid,
        padded_size=spec.padded_size or 0,
        payload_size=spec.payload_size,
        client=spec.client,
        allocation=spec.allocation,
        deal=spec.deal,
        held_for=spec.held_for,
        start_epoch=spec.start_epoch,
        purpose=spec.purpose,
        term_min=spec.term_min,
        is_resumable=is_resumable,
        source_url=source_url,
        file_name=file_name,
        actor=by.actor[:200],
    )
    _time_check(piece, first_epoch=spec.first_epoch)
    return piece


def _time_check(piece: Piece, *, first_epoch: int | None) -> None:
    """Refuse a piece that cannot be active in time, unless it repeats a stored one.  Raises PieceTooLate."""
    if piece.start_epoch is None or first_epoch is None or piece.start_epoch >= first_epoch:
        return
    same = fetch_same(piece) if piece.source_url else None
    if same is None and piece.announced_cid:
        same = piece_same(piece, piece.announced_cid)
    if same is None or same.state == PieceState.ENDED or same.start_epoch != piece.start_epoch:
        raise PieceTooLate(first_epoch)


def upload_begin(miner: Miner, *, spec: PieceSpec, by: Principal, is_resumable: bool = False) -> Piece:
    """Write the row of a piece whose bytes are to be sent.

    Raises what `spec_check` does, PieceQuotaExceeded.
    """
    return piece_begin(piece_build(miner, spec=spec, by=by, is_resumable=is_resumable), by=by)


@transaction.atomic
def piece_begin(piece: Piece, *, by: Principal) -> Piece:
    """Write the row of a piece that was built.  Raises PieceQuotaExceeded."""
    field = "payload_size" if piece.source_url else "Upload-Length"
    is_stated = bool(piece.payload_size or piece.padded_size)
    quota_require(piece.miner.tenant_id, requested=piece.most_bytes, field=field, is_stated=is_stated)
    piece.save(force_insert=True)
    if piece.is_resumable or piece.source_url:
        after = {"upload": str(piece.uuid)}
        if piece.source_url:
            after["url"] = url_shown(piece.source_url)
        audit_record(principal=by, action="piece.begin", target=str(piece.miner), after=after)
    piece_change_publish(piece)
    return piece


def piece_upload(miner: Miner, *, spec: PieceSpec, source: Source, by: Principal) -> tuple[Piece, bool]:
    """Return a piece uploaded in one request, and whether it is new; nothing is kept of a failed upload.

    Raises what `spec_check` and `piece_check` do, PieceQuotaExceeded, UploadIncomplete, RoomAwaited.
    """
    piece = upload_begin(miner, spec=spec, by=by)
    try:
        with GROWING.transfer():
            received = _part_write(piece, source, offset=0)
            if piece.payload_size is not None and received != piece.payload_size:
                raise UploadIncomplete(
                    gettext("only {received} of {payload_size} bytes were received").format(
                        received=received, payload_size=piece.payload_size
                    )
                )
            return upload_end(piece, by=by)
    except BaseException:
        piece_discard(piece)
        raise


def part_upload(piece: Piece, *, source: Source, offset: int, by: Principal) -> tuple[Piece, bool]:
    """Return the piece with the next part of its resumable upload written, and whether it is complete.

    Bytes that came before the sender left stay and count.  Raises BadOffset, PieceBusy, PieceTooLarge,
    UploadIncomplete, DiskFull, RoomAwaited, and with the last part what `piece_check` does.
    """
    if piece.state != PieceState.UPLOADING:
        raise BadOffset(piece.received)
    with GROWING.transfer():
        _part_write(piece, source, offset=offset)
        if piece.payload_size is None or piece.received < piece.payload_size:
            piece_change_publish(piece)
            return piece, False
        return upload_end(piece, by=by)[0], True


def upload_end(piece: Piece, *, by: Principal) -> tuple[Piece, bool]:
    """Compute the commitment of a piece that is whole; returns the miner's piece of it and whether it is new.

    It stays RECEIVED where the commitment cannot be computed now.

    Raises PieceEmpty and what `piece_check` does.
    """
    if not piece.received:
        piece_discard(piece)
        raise PieceEmpty
    advance(piece, "RECEIVE", payload_size=piece.received, state_since=clock.now(), updated_at=clock.now())
    try:
        return piece_check(piece, by=by)
    except (PieceMismatch, PieceTooLarge):  # who sent it is told
        piece_discard(piece)
        raise
    except CommitmentFailed:  # not the sender's fault, whose bytes are here: a later head tries again
        return piece, True


def _part_write(piece: Piece, source: Source, *, offset: int) -> int:
    """Write what comes from `offset` on; returns how many bytes there are.

    Raises BadOffset, PieceBusy, PieceTooLarge, UploadIncomplete, DiskFull, RoomAwaited; PieceUnknown if it
    was removed this moment.
    """
    most = piece.room if piece.payload_size is None else piece.payload_size
    with piece_opened(piece) as file, Room(piece_path(piece)) as room:
        try:
            piece.refresh_from_db(fields=["received", "state"])
        except Piece.DoesNotExist:
            raise PieceUnknown(piece.uuid) from None
        if (size := file.seek(0, os.SEEK_END)) < piece.received:  # a kill while it was being removed
            received_note(piece, received=size)
        if offset != piece.received or piece.state != PieceState.UPLOADING:
            raise BadOffset(piece.received)
        GROWING.begin(piece_path(piece), first=offset)

        def note(count: int) -> None:
            received_note(piece, received=count)
            GROWING.note(piece_path(piece), count)

        try:
            if piece.payload_size is not None:
                room.reserve(piece.payload_size)
            fits = bytes_write(
                file,
                source,
                at=offset,
                most=most,
                note=note,
                reserve=room.reserve if piece.payload_size is None else None,
            )
        except OSError as error:
            raise UploadIncomplete(
                gettext("the upload was cut off after {received} bytes: {error}").format(
                    received=piece.received, error=fault_text(error)
                )
            ) from error
        if not fits:
            file.truncate(offset)
            received_note(piece, received=offset)
            raise PieceTooLarge(most)
    return piece.received


def received_note(
    piece: Piece,
    *,
    received: int,
    source_tag: str = "",
    rate: int | None = None,
    ends_error: bool = False,
) -> None:
    """Note how many bytes of a piece are on the disk, what a download's source named them, and its rate.

    `ends_error`: what went wrong before is over.
    """
    piece.received, piece.source_tag, piece.rate = received, source_tag, rate
    values: dict[str, object] = {"received": received, "source_tag": source_tag, "rate": rate}
    if ends_error:
        piece.error = values["error"] = ""
    Piece.objects.filter(pk=piece.pk).update(**values, updated_at=clock.now())


def piece_fail(piece: Piece, *, reason: Reason | str) -> None:
    """End a piece that did not become one: its row says why, and then its bytes go."""
    piece.refresh_from_db()
    values = {"error": as_reason(reason), "has_data": False, "source_url": url_shown(piece.source_url)}
    values |= {"source_headers": "", "rate": None}
    advance(piece, "FAIL", **values, has_leftover=True, state_since=clock.now(), updated_at=clock.now())
    leftover_remove(piece)
    piece_change_publish(piece)
    log.warning("piece_failed", piece=str(piece.uuid), reason=reason[:200])


def piece_discard(piece: Piece) -> None:
    """Remove a piece that no sector needs: first its bytes and their index, then its row."""
    index_unlink(piece)
    piece_unlink(piece)
    with transaction.atomic():
        Piece.objects.filter(NOWHERE, pk=piece.pk).delete()
        piece_change_publish(piece)


def _locked(piece: Piece) -> Piece:
    """Lock a piece.  Raises PieceUnknown if somebody removed it this moment."""
    fresh = Piece.objects.select_for_update().filter(pk=piece.pk, removal_asked_at=None).first()
    if fresh is None:
        raise PieceUnknown(piece.uuid)
    return fresh


def piece_remove(piece: Piece, *, by: Principal) -> None:
    """Remove a piece at somebody's wish.  Raises PieceInSector, PieceUnknown."""
    with transaction.atomic():
        fresh = _locked(piece)
        if fresh.state == PieceState.HELD:
            raise PieceInSector(gettext("it waits for its deal to be published"))
        if fresh.sector_number is not None and fresh.state != PieceState.ENDED:
            raise PieceInSector(
                gettext("it is in sector {sector_number}").format(sector_number=fresh.sector_number)
            )
        # Before its bytes go: what a kill leaves then goes into no sector, and a head takes it away.
        now, rows = clock.now(), Piece.objects.filter(pk=piece.pk)
        rows.update(removal_asked_at=now, updated_at=now)
        rows.exclude(state__in=UNCOMMITTED).update(has_data=False)
        audit_record(principal=by, action="piece.remove", target=str(piece), before={"state": piece.state})
    piece_discard(piece)


@transaction.atomic
def piece_release(piece: Piece, *, deal: int, client: int | None, allocation: int | None) -> None:
    """Free a piece for a sector under its deal, which is published.  Raises WrongState, LostRace."""
    terms = {"deal": deal, "client": client, "allocation": allocation, "error": ""}
    advance(piece, "RELEASE", **terms, state_since=clock.now(), updated_at=clock.now())
    piece_change_publish(piece)


def piece_term_set(piece: Piece, *, term_min: int) -> bool:
    """Set how long the sector of a piece without an allocation lives; False if it is in one already."""
    rows = Piece.objects.filter(pk=piece.pk, state__in=UNPLACED, allocation=None, removal_asked_at=None)
    return bool(rows.update(term_min=term_min, updated_at=clock.now()))


def piece_purpose_set(piece: Piece, *, purpose: str, by: Principal) -> Piece:
    """Set which sectors an unplaced piece may go into.  Raises BadValue, PieceInSector, PieceFailed."""
    if purpose not in PiecePurpose.values:
        raise BadValue(
            gettext("must be one of {values}").format(values=", ".join(PiecePurpose.values)), field="purpose"
        )
    with transaction.atomic():
        fresh = _locked(piece)
        if fresh.sector_number is not None:
            raise PieceInSector(
                gettext("it is in sector {sector_number}").format(sector_number=fresh.sector_number)
            )
        if fresh.state not in UNPLACED:
            raise PieceFailed(gettext("it has failed: {error}").format(error=fresh.error))
        if fresh.purpose != purpose:
            Piece.objects.filter(pk=piece.pk).update(purpose=purpose, updated_at=clock.now())
            audit_record(
                principal=by,
                action="piece.purpose",
                target=str(piece),
                before={"purpose": fresh.purpose},
                after={"purpose": purpose},
            )
            piece_change_publish(piece)
    piece.refresh_from_db(fields=["purpose", "state", "sector_number"])
    return piece
