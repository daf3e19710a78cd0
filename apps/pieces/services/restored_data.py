"""The unsealed copy of a piece that is in a sector: removed, and brought back out of the sector."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import transaction

from apps.core import clock
from apps.core.connection_faults import fault_text
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.pieces.data.commitments import commitment_of
from apps.pieces.data.files import Source, bytes_write, file_locked, is_stored, piece_path, piece_unlink
from apps.pieces.errors import PieceBusy, PieceMismatch, UploadIncomplete
from apps.pieces.models import Piece
from apps.pieces.services.quotas import quota_lock, quota_require
from apps.pieces.services.reservations import Room

READ_NOTED: Final = timedelta(hours=1)
"""Between two notes that a copy is read."""


def data_restore(piece: Piece, *, source: Source) -> None:
    """Store a piece's raw bytes again if they have its commitment; nothing is kept of others.

    Raises UploadIncomplete, PieceBusy, PieceMismatch, CommitmentFailed, DiskFull, RoomAwaited,
    PieceQuotaExceeded.
    """
    if is_stored(piece):
        return
    path = piece_path(piece).with_suffix(".unsealed")
    size = piece.payload_size or 0
    with transaction.atomic():  # before a host sends them for nothing
        _quota_require(piece)
    with file_locked(path) as file, Room(path) as room:
        try:
            room.reserve(size)
            is_all = bytes_write(file, source, at=0, most=size, note=lambda _: None)
            if not is_all or file.tell() != size:
                raise UploadIncomplete(
                    gettext("only {received} of {size} bytes were received").format(
                        received=file.tell(), size=size
                    )
                )
            computed = commitment_of(path).grown_to(piece.padded_size)
            if str(computed.cid) != piece.piece_cid:
                raise PieceMismatch(announced=piece.piece_cid, computed=str(computed.cid))
        except OSError as error:
            path.unlink(missing_ok=True)
            raise UploadIncomplete(
                gettext("the upload was cut off: {error}").format(error=fault_text(error))
            ) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        with transaction.atomic():
            quota_lock(piece.miner.tenant_id)
            piece_data_lock(piece)
            _quota_require(piece)
            path.rename(piece_path(piece))
            _has_data_note(piece, is_here=True)
            Piece.objects.filter(pk=piece.pk, copy_read_at__isnull=False).update(copy_read_at=clock.now())


def copy_read_note(piece: int, *, read_at: datetime | None, now: datetime) -> None:
    """Note that a copy is read which was unsealed for whoever retrieves it, once an hour at most."""
    if read_at is not None and now - read_at >= READ_NOTED:
        Piece.objects.filter(pk=piece, copy_read_at__isnull=False).update(copy_read_at=now)


def data_drop(piece: Piece) -> None:
    """Remove the raw bytes of a piece once the transaction has ended; after a kill the next head does it."""
    _has_data_note(piece, is_here=False, has_leftover=True)
    transaction.on_commit(partial(leftover_remove, piece))


def data_loss_note(piece: Piece) -> None:
    """Note that a piece's bytes are not here, if its row says so and the disk does not."""
    if piece.has_data and not is_stored(piece):
        _has_data_note(piece, is_here=False)


def piece_data_lock(piece: Piece) -> None:
    """Lock a piece until the transaction ends, so that nobody else moves its bytes, and read `has_data`.

    Raises PieceBusy if it was removed this moment.
    """
    row = Piece.objects.select_for_update().filter(pk=piece.pk, removal_asked_at=None).first()
    if row is None:
        raise PieceBusy
    piece.has_data = row.has_data


def pieces_lock(pieces: Collection[Piece]) -> list[Piece]:
    """Lock pieces until the transaction ends, and return them as they are: they may be sent again."""
    rows = Piece.objects.filter(pk__in=[piece.pk for piece in pieces]).select_related("miner")
    return list(rows.select_for_update(of=("self",)).order_by("pk"))


@transaction.atomic
def leftover_remove(piece: Piece) -> None:
    """Delete the bytes of a piece unless they were put back, or removed with it, meanwhile."""
    with suppress(PieceBusy):
        piece_data_lock(piece)
        if not piece.has_data:
            piece_unlink(piece)
        Piece.objects.filter(pk=piece.pk).update(has_leftover=False)


def _quota_require(piece: Piece) -> None:
    quota_require(piece.miner.tenant_id, requested=piece.payload_size or 0, field="piece_cid")


def _has_data_note(piece: Piece, *, is_here: bool, has_leftover: bool = False) -> None:
    with transaction.atomic():
        piece.has_data, rows = is_here, Piece.objects.filter(pk=piece.pk)
        rows.update(has_data=is_here, has_leftover=has_leftover, updated_at=clock.now())
        publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
