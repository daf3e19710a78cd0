"""What goes on without a caller: commitments that a kill interrupted, uploads that nobody ends."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from apps.chain.node.isolation import for_each_isolated
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.reasons import reason_of
from apps.miners.selectors.miners import miner_principal
from apps.pieces.data.commitments import Commitment
from apps.pieces.data.files import piece_opened
from apps.pieces.errors import CommitmentFailed, PieceBusy
from apps.pieces.models import Piece
from apps.pieces.selectors import pieces_removed, pieces_unfinished, pieces_with_leftovers, uploads_idle
from apps.pieces.services.checks import piece_check
from apps.pieces.services.restored_data import leftover_remove
from apps.pieces.services.uploads import piece_change_publish, piece_discard, piece_fail
from apps.pieces.states import PieceState

UNCHECKED: Final = timedelta(seconds=5)
"""After this no other process is about to compute a commitment: it was killed."""
SINGLE_RETENTION: Final = timedelta(minutes=10)
"""An upload in one request that a kill has ended."""
RESUMABLE_RETENTION: Final = timedelta(days=1)
"""A resumable upload on which nothing was heard."""
FAILED_RETENTION: Final = timedelta(days=7)
"""A piece that failed, for its client to hear of it: other failures are shown as long."""


def pieces_tidy(*, now: datetime) -> None:
    """Do what is to be done without a caller.  Pieces that another process works on are passed over."""
    for_each_isolated(pieces_removed(), piece_discard, event="piece_not_removed")
    for_each_isolated(pieces_with_leftovers(), leftover_remove, event="leftover_not_removed")
    unfinished = pieces_unfinished(received_before=now - UNCHECKED)
    for_each_isolated(unfinished, piece_finish, event="piece_not_finished")
    idle = uploads_idle(
        single_before=now - SINGLE_RETENTION,
        resumable_before=now - RESUMABLE_RETENTION,
        failed_before=now - FAILED_RETENTION,
    )
    for_each_isolated(idle, _idle_discard, event="upload_not_discarded")


def piece_finish(piece: Piece, *, commitment: Commitment | None = None) -> None:
    """Compute a piece's commitment; bytes that are not the announced piece go, and its row says why.

    `commitment`: a caller who holds the file has computed it.
    Where it cannot be computed now, the row says so until a later head does it.
    """
    try:
        piece_check(piece, by=miner_principal(piece.miner), commitment=commitment)
    except PieceBusy:  # another process checks it
        return
    except CommitmentFailed as error:
        rows = Piece.objects.filter(pk=piece.pk, state=PieceState.RECEIVED).exclude(error=str(error))
        if rows.update(error=reason_of(error), updated_at=clock.now()):
            piece_change_publish(piece)
    except DomainError as error:
        if Piece.objects.filter(pk=piece.pk).exists():
            piece_fail(piece, reason=reason_of(error))


def _idle_discard(piece: Piece) -> None:
    with suppress(PieceBusy), piece_opened(piece):  # whoever holds it still writes it
        # Or has done so since the list was read, and the piece may be whole by now.
        rows = Piece.objects.filter(pk=piece.pk)
        if not rows.exclude(state=piece.state, updated_at=piece.updated_at).exists():
            piece_discard(piece)
