"""The commitment of a piece that has arrived: computed, compared with what was announced, noted."""

from __future__ import annotations

from contextlib import ExitStack

from django.db import IntegrityError, transaction

from apps.core import clock
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.pieces.data.blocks import index_unlink
from apps.pieces.data.commitments import Commitment, commitment_of
from apps.pieces.data.files import (
    is_known_stored,
    is_stored,
    notes_path,
    piece_path,
    piece_unlink,
    piece_whole,
)
from apps.pieces.data.sources import url_shown
from apps.pieces.errors import PieceBusy, PieceMismatch, PieceTooLarge
from apps.pieces.models import CLIENT_ACTOR, Piece
from apps.pieces.selectors import failed_earlier, fetch_same, piece_same
from apps.pieces.services.restored_data import piece_data_lock
from apps.pieces.states import UNPLACED, PiecePurpose, PieceState
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record


def piece_check(piece: Piece, *, by: Principal, commitment: Commitment | None = None) -> tuple[Piece, bool]:
    """Compute a received piece's commitment and accept it; returns the miner's piece and whether it is new.

    `commitment`: a caller who holds the file has computed it.

    A piece that the miner has already, under the same terms or without any, is that one, and this one goes;
    under other terms it is one more.  Raises PieceMismatch, PieceTooLarge, PieceBusy, CommitmentFailed,
    UploadIncomplete.
    """
    with ExitStack() as held:
        path = piece_path(piece) if commitment else held.enter_context(piece_whole(piece))
        if not Piece.objects.filter(pk=piece.pk, state=PieceState.RECEIVED).exists():
            raise PieceBusy  # another process has checked it by now
        commitment = _placed(piece, commitment or commitment_of(path))
        same = piece_same(piece, str(commitment.cid))
        if same is None and (accepted := _accept(piece, commitment, by=by)):
            return accepted, True
        return _already_there(piece, same or piece_same(piece, str(commitment.cid)), by=by), False


def _placed(piece: Piece, computed: Commitment) -> Commitment:
    """Return the commitment in the place that was announced.  Raises PieceMismatch, PieceTooLarge."""
    if computed.padded_size > (piece.padded_size or piece.miner.sector_size):
        raise PieceTooLarge(piece.room)
    commitment = computed.grown_to(piece.padded_size)
    if piece.announced_cid and str(commitment.cid) != piece.announced_cid:
        raise PieceMismatch(announced=piece.announced_cid, computed=str(commitment.cid))
    return commitment


def _accept(piece: Piece, commitment: Commitment, *, by: Principal) -> Piece | None:
    """Note the commitment; None if the miner got the same piece this moment.

    What failed of it before is forgotten: it was sent again.
    """
    now, cid = clock.now(), str(commitment.cid)
    try:
        with transaction.atomic():
            advance(
                piece,
                "ACCEPT" if piece.held_for is None else "HOLD",
                piece_cid=cid,
                padded_size=commitment.padded_size,
                source_url=url_shown(piece.source_url),
                source_headers="",
                error="",
                state_since=now,
                updated_at=now,
            )
            after = {"miner": str(piece.miner), "bytes": piece.payload_size}
            audit_record(principal=by, action="piece.add", target=cid, after=after)
            publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
    except IntegrityError:
        piece.refresh_from_db()
        return None
    notes_path(piece_path(piece)).unlink(missing_ok=True)
    for failed in failed_earlier(piece):
        _drop(failed)
    return piece


def _already_there(piece: Piece, same: Piece | None, *, by: Principal) -> Piece:
    """Return the piece that the miner has; its bytes come back if they were gone.

    One whose sector has ended waits for another.  Raises PieceBusy.
    """
    if same is None:  # the piece was removed this moment
        raise PieceBusy
    with transaction.atomic():
        piece_data_lock(same)
        if not is_stored(same):
            piece_unlink(same)
            piece_path(same).hardlink_to(piece_path(piece))  # a kill leaves both: it is checked once more
            Piece.objects.filter(pk=same.pk).update(
                has_data=True, payload_size=piece.payload_size, updated_at=clock.now()
            )
            same.refresh_from_db()
        if same.state == PieceState.ENDED:
            moved = {"sector_number": None, "offset": None, "start_epoch": piece.start_epoch}
            advance(same, "RETURN", **moved, state_since=clock.now(), updated_at=clock.now())
        _repeat_note(piece, same, by=by)
    _drop(piece)
    return same


def _repeat_note(piece: Piece, same: Piece, *, by: Principal) -> None:
    """Set the terms that were sent again, and leave the others as they are; a name where it has none.

    A deal's client does not change by when somebody else's piece must be active, nor its name.
    """
    unplaced = Piece.objects.filter(pk=same.pk, state__in=UNPLACED)
    if piece.purpose != PiecePurpose.ANY:
        unplaced.update(purpose=piece.purpose, updated_at=clock.now())
    # It is kept from now on, also if it was unsealed for somebody who retrieves it.
    Piece.objects.filter(pk=same.pk, copy_read_at__isnull=False).update(copy_read_at=None)
    after = {"miner": str(same.miner)}
    is_strangers = piece.actor.startswith(CLIENT_ACTOR) and piece.actor != same.actor
    if piece.file_name and not is_strangers:
        Piece.objects.filter(pk=same.pk, file_name="").update(file_name=piece.file_name)
    is_dated = piece.start_epoch not in (None, same.start_epoch)
    if is_dated and piece.terms == same.terms and not is_strangers:
        waiting = unplaced | Piece.objects.filter(pk=same.pk, state=PieceState.PACKED)
        waiting.update(start_epoch=piece.start_epoch, updated_at=clock.now())
        unplaced.filter(terms_missing_since=None).update(error="")  # it may have waited for another epoch
        after["active_by"] = gettext("epoch {epoch}").format(epoch=piece.start_epoch)
    same.refresh_from_db(fields=["purpose", "start_epoch", "file_name"])
    audit_record(principal=by, action="piece.repeat", target=str(same), after=after)
    publish(Change("piece", str(same.uuid), same.miner.tenant_id))


def piece_repeat(piece: Piece, *, by: Principal) -> Piece | None:
    """Return the miner's piece that one to be downloaded repeats; None if it must be downloaded."""
    same = fetch_same(piece) or _kept_same(piece)
    if same is not None:
        with transaction.atomic():
            _repeat_note(piece, same, by=by)
    return same


def _kept_same(piece: Piece) -> Piece | None:
    """Return the miner's live piece of the announced commitment, if its bytes are kept here."""
    same = piece_same(piece, piece.announced_cid) if piece.announced_cid else None
    if same is None or same.state == PieceState.ENDED or not is_known_stored(same):
        return None
    return same if piece.padded_size in (0, same.padded_size) else None


def _drop(piece: Piece) -> None:
    index_unlink(piece)
    piece_unlink(piece)
    Piece.objects.filter(pk=piece.pk).delete()
    publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
