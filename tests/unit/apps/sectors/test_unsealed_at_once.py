"""Bytes of a client that are sent again while the copy of them that is here is being removed."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.pieces.data.commitments import small_commitment
from apps.pieces.data.files import is_stored, piece_path
from apps.pieces.models import Piece
from apps.pieces.services.uploads import PieceSpec, piece_upload
from apps.sectors.errors.runs import NotUnsealed
from apps.sectors.services.runs.unsealing import unsealed_remove
from tests import factories, people

pytestmark = pytest.mark.django_db(transaction=True)

DATA = b"x" * 100


def test_bytes_sent_again_while_their_copy_is_removed_stay(
    beside: Callable[..., list[Any]], settings: Any, tmp_path: Path
) -> None:
    settings.PIECES_DIR = str(tmp_path)
    miner, by = factories.miner(2001), people.principal()
    sector = factories.sector(miner, number=7, state="TERMINATED", store="store")
    cid = str(small_commitment(DATA).cid)
    piece = factories.piece(
        miner, state="ENDED", sector_number=7, offset=0, piece_cid=cid, payload_size=100, has_data=True
    )
    piece_path(piece).parent.mkdir(parents=True, exist_ok=True)
    piece_path(piece).write_bytes(DATA)

    refused, sent, _ = beside(
        lambda: unsealed_remove(sector, by=by),
        "apps.sectors.services.runs.unsealing.pieces_of_sector",
        lambda: piece_upload(miner, spec=PieceSpec(), source=io.BytesIO(DATA), by=by),
        watched_s=20,
    )

    assert isinstance(refused, NotUnsealed)
    assert sent == (piece, False)
    row = Piece.objects.get()
    assert (row.state, is_stored(row)) == ("READY", True)
