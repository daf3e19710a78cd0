"""Bytes that a restored backup still speaks of, or that come back while they are dropped."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from apps.core import clock
from apps.miners.models import Miner
from apps.pieces.data.commitments import small_commitment
from apps.pieces.data.files import piece_path
from apps.pieces.data.ranges import piece_data
from apps.pieces.errors import PieceSealed
from apps.pieces.models import Piece
from apps.pieces.services.restored_data import data_drop, data_restore
from apps.sectors.errors.runs import NotUnsealed
from apps.sectors.models import Job
from apps.sectors.services.runs.deliveries import UnsealOrder, is_kept_unsealed, piece_deliver
from apps.sectors.services.runs.unsealing import unseal_request
from apps.sectors.states import JobState
from tests import factories, people

pytestmark = pytest.mark.django_db

DATA = b"x" * 100


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path)
    return factories.miner(2001)


@pytest.fixture
def piece(miner: Miner) -> Piece:
    """In a stored sector; its row says that its bytes are kept, and the disk has none."""
    sealed: dict[str, Any] = {"comm_d": bytes(32), "comm_r": bytes(32), "ticket": bytes(32)}
    factories.sector(miner, number=7, state="PROVING", store="store", **sealed)
    factories.worker(stores=["store"])
    cid = str(small_commitment(DATA).cid)
    return factories.piece(miner, state="ACTIVE", sector_number=7, offset=0, piece_cid=cid)


@pytest.mark.parametrize("left", [None, DATA[:-1]])
def test_bytes_that_are_gone_are_unsealed_once_and_stored(piece: Piece, left: bytes | None) -> None:
    if left is not None:
        piece_path(piece).write_bytes(left)
    with pytest.raises(PieceSealed):
        piece_data(piece, None)

    unseal_request(piece, now=clock.now())
    assert (piece.has_data, Piece.objects.get().has_data) == (False, False)
    data_restore(Piece.objects.get(), source=io.BytesIO(DATA))

    assert b"".join(piece_data(Piece.objects.get(), None).chunks) == DATA


def test_what_a_host_has_unsealed_is_stored_whatever_the_row_says(piece: Piece) -> None:
    data_restore(piece, source=io.BytesIO(DATA))
    data_restore(piece, source=io.BytesIO(b"never read"))

    assert piece_path(piece).read_bytes() == DATA


def test_a_market_gets_bytes_unsealed_that_are_gone(piece: Piece) -> None:
    by, order = people.principal(), {"miner": "f02001", "number": 7, "piece_cid": piece.piece_cid}
    wanted = UnsealOrder(**order, offset=0, size=127, dest="http://m/up")

    assert not is_kept_unsealed(by, **order)
    assert piece_deliver(wanted, market="", by=by, now=clock.now()) == "set_up"
    assert Job.objects.get(kind="unseal").state == JobState.READY
    assert not Piece.objects.get().has_data


def test_a_piece_in_no_sector_is_not_noted_as_lost(miner: Miner) -> None:
    piece = factories.piece(miner)

    with pytest.raises(NotUnsealed):
        unseal_request(piece, now=clock.now())
    assert Piece.objects.get().has_data, "its folder may be away for a moment"


@pytest.mark.parametrize("is_back", [False, True])
def test_dropped_bytes_go_unless_they_are_back(
    piece: Piece, django_capture_on_commit_callbacks: Any, *, is_back: bool
) -> None:
    piece_path(piece).write_bytes(DATA)
    with django_capture_on_commit_callbacks() as callbacks, transaction.atomic():
        data_drop(piece)
    if is_back:
        data_restore(Piece.objects.get(), source=io.BytesIO(DATA))
    for callback in callbacks:
        callback()

    assert piece_path(piece).exists() == Piece.objects.get().has_data == is_back
