"""What goes on without a caller: downloads, commitments that a kill interrupted, uploads that nobody ends."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from django.utils.translation import gettext

from apps.chain.node.isolation import for_each_isolated
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.transitions import advance
from apps.miners.selectors.miners import miner_principal
from apps.pieces.errors import CommitmentFailed, PieceBusy, PieceTooLarge
from apps.pieces.files import bytes_write, piece_opened, piece_unlink
from apps.pieces.selectors import pieces_unfinished, uploads_idle
from apps.pieces.services.checks import piece_check
from apps.pieces.services.uploads import piece_change_publish, piece_discard, upload_begin
from apps.pieces.sources import SourceAway, url_check, url_opened
from apps.pieces.states import PieceState

if TYPE_CHECKING:
    from datetime import datetime

    from apps.miners.models import Miner
    from apps.pieces.models import Piece
    from apps.pieces.services.uploads import PieceSpec
    from apps.users.principals import Principal

log = structlog.get_logger(__name__)

UNCHECKED: Final = timedelta(seconds=5)
"""After this no other process is about to compute a commitment: it was killed."""
SINGLE_RETENTION: Final = timedelta(minutes=10)
"""An upload in one request that a kill has ended."""
RESUMABLE_RETENTION: Final = timedelta(days=1)
"""A resumable upload on which nothing was heard, and a piece that failed."""


def piece_fetch_begin(miner: Miner, *, spec: PieceSpec, url: str, by: Principal) -> Piece:
    """Note a piece that is to be downloaded.  Raises BadValue and what `spec_check` does."""
    url_check(url)
    return upload_begin(miner, spec=spec, by=by, source_url=url)


def pieces_tidy(*, now: datetime) -> None:
    """Do what is to be done without a caller.  Pieces that another process works on are passed over."""
    unfinished = pieces_unfinished(received_before=now - UNCHECKED)
    for_each_isolated(unfinished, piece_finish, event="piece_not_finished")
    idle = uploads_idle(single_before=now - SINGLE_RETENTION, resumable_before=now - RESUMABLE_RETENTION)
    for_each_isolated(idle, _idle_discard, event="upload_not_discarded")


def piece_finish(piece: Piece) -> None:
    """Download a piece, or compute its commitment; a failure is noted and its bytes go."""
    try:
        if piece.state == PieceState.FETCHING:
            _fetch(piece)
        piece_check(piece, by=miner_principal(piece.miner))
    except (PieceBusy, CommitmentFailed):  # another process checks it, or the next head tries again
        return
    except (DomainError, SourceAway) as error:
        if type(piece).objects.filter(pk=piece.pk).exists():
            _fail(piece, str(error))


def _fetch(piece: Piece) -> None:
    """Download a piece's bytes.  Raises SourceAway, PieceTooLarge, PieceBusy, DiskFull."""
    with piece_opened(piece) as file:
        piece.refresh_from_db(fields=["state"])
        if piece.state != PieceState.FETCHING:
            raise PieceBusy
        with url_opened(piece.source_url) as response:
            try:
                fits = bytes_write(file, response, at=0, most=piece.room, note=lambda _: None)
            except OSError as error:
                raise SourceAway(
                    gettext("the download could not be written: {error}").format(error=type(error).__name__)
                ) from None
            if not fits:
                raise PieceTooLarge(piece.room)
        size = file.tell()
        if not size or (piece.payload_size or size) != size:
            raise SourceAway(
                gettext("{size} of {payload_size} bytes were received").format(
                    size=size, payload_size=piece.payload_size or gettext("an unknown number of")
                )
            )
        advance(
            piece,
            "RECEIVE",
            received=size,
            payload_size=size,
            state_since=clock.now(),
            updated_at=clock.now(),
        )
    piece_change_publish(piece)


def _fail(piece: Piece, reason: str) -> None:
    piece.refresh_from_db()
    advance(
        piece, "FAIL", error=reason[:1000], has_data=False, state_since=clock.now(), updated_at=clock.now()
    )
    piece_unlink(piece)
    piece_change_publish(piece)
    log.warning("piece_failed", piece=str(piece.uuid), reason=reason[:200])


def _idle_discard(piece: Piece) -> None:
    with suppress(PieceBusy), piece_opened(piece):
        piece_discard(piece)
