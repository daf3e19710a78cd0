"""The unsealed copy of a piece that is in a sector: removed, and brought back out of the sector."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext

from apps.core import clock
from apps.core.live import Change, publish
from apps.pieces.commitments import commitment_of
from apps.pieces.errors import PieceMismatch, UploadIncomplete
from apps.pieces.files import bytes_write, file_locked, piece_path, piece_unlink
from apps.pieces.models import Piece

if TYPE_CHECKING:
    from apps.pieces.files import Source


def data_restore(piece: Piece, *, source: Source) -> None:
    """Store a piece's raw bytes again if they have its commitment; nothing is kept of others.

    Raises UploadIncomplete, PieceBusy, PieceMismatch, CommitmentFailed.
    """
    if piece.has_data:
        return
    path = piece_path(piece).with_suffix(".unsealed")
    size = piece.payload_size or 0
    with file_locked(path) as file:
        try:
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
                gettext("the upload was cut off: {error}").format(error=type(error).__name__)
            ) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        path.rename(piece_path(piece))
    _has_data_note(piece, is_here=True)


def data_drop(piece: Piece) -> None:
    """Remove the raw bytes of a piece once the transaction has ended."""
    _has_data_note(piece, is_here=False)
    transaction.on_commit(partial(piece_unlink, piece))


def _has_data_note(piece: Piece, *, is_here: bool) -> None:
    with transaction.atomic():
        Piece.objects.filter(pk=piece.pk).update(has_data=is_here, updated_at=clock.now())
        publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
