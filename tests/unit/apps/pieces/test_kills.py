"""A kill between a piece's row and its file: nobody's bytes become zeros, and none that are whole go."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.core import clock
from apps.miners.models import Miner
from apps.pieces.data.files import piece_path
from apps.pieces.errors import BadOffset, PieceBusy, PieceUnknown
from apps.pieces.models import Piece
from apps.pieces.selectors import pieces_fetching, pieces_visible, uploads_idle
from apps.pieces.services import checks, retention, uploads
from apps.pieces.services.restored_data import data_drop
from apps.pieces.services.retention import RESUMABLE_RETENTION, UNCHECKED, piece_finish, pieces_tidy
from apps.sectors.services.sealing.packing import piece_refuse
from tests import factories, people

pytestmark = pytest.mark.django_db

DATA = b"bytes of a client"


class Killed(BaseException):
    """The end of a process, here."""


def kill(*_: Any, **__: Any) -> None:
    raise Killed


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.PIECES_DIR = str(tmp_path)
    return tmp_path


@pytest.fixture
def miner(folder: Path) -> Miner:
    return factories.miner()


def received(of: Miner, *, data: bytes | None = DATA) -> Piece:
    """A piece whose commitment is to be computed; `data` is what there is of it."""
    row = factories.piece(of, state="RECEIVED", padded_size=0, payload_size=len(DATA))
    if data is not None:
        piece_path(row).write_bytes(data)
    return row


def tidied(piece: Piece) -> str:
    """State of a piece after a pass."""
    pieces_tidy(now=clock.now() + 2 * UNCHECKED)
    piece.refresh_from_db()
    return piece.state


@pytest.mark.parametrize("data", [None, b"", DATA[:-1]])
def test_a_received_piece_without_all_its_bytes_has_failed(
    miner: Miner, folder: Path, data: bytes | None
) -> None:
    piece = received(miner, data=data)

    assert tidied(piece) == "FAILED"
    assert f"only {len(data or b'')} of {len(DATA)} bytes" in piece.error
    assert list(folder.iterdir()) == []


def test_bytes_that_come_back_to_a_piece_outlive_a_kill(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = received(miner)
    assert tidied(first) == "READY"
    Piece.objects.filter(pk=first.pk).update(state="ENDED", sector_number=7, offset=0, has_data=False)
    piece_path(first).unlink()
    again = received(miner)
    with monkeypatch.context() as patch:
        patch.setattr(checks, "audit_record", kill)
        with pytest.raises(Killed):
            checks.piece_check(again, by=people.principal())

    assert tidied(first) == "READY"
    assert (first.has_data, piece_path(first).read_bytes()) == (True, DATA)
    assert not piece_path(again).exists()
    assert not Piece.objects.filter(pk=again.pk).exists()


def test_a_piece_that_was_checked_meanwhile_keeps_its_bytes(miner: Miner) -> None:
    piece = received(miner)
    stale = Piece.objects.get(pk=piece.pk)
    assert tidied(piece) == "READY"

    with pytest.raises(PieceBusy):
        checks.piece_check(stale, by=people.principal())
    piece_finish(stale)

    assert piece_path(piece).read_bytes() == DATA


def test_parts_go_on_where_the_bytes_really_end(miner: Miner) -> None:
    piece = factories.piece(miner, state="UPLOADING", padded_size=0, payload_size=20, received=10)
    piece_path(piece).write_bytes(b"abc")

    with pytest.raises(BadOffset, match="is 3"):
        uploads.part_upload(piece, source=io.BytesIO(b"d"), offset=10, by=people.principal())
    assert (piece.received, piece_path(piece).read_bytes()) == (3, b"abc")


@pytest.mark.parametrize("state", ["UPLOADING", "FETCHING", "RECEIVED", "READY", "FAILED"])
def test_a_removal_that_a_kill_cut_is_completed(
    miner: Miner, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = factories.piece(miner, state=state, payload_size=len(DATA))
    piece_path(piece).write_bytes(DATA)
    by = people.principal()
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "piece_unlink", kill)
        with pytest.raises(Killed):
            uploads.piece_remove(piece, by=by)

    assert not pieces_visible(by).exists()
    assert pieces_fetching([piece.pk]) == set()
    with pytest.raises(PieceUnknown):
        uploads.piece_remove(piece, by=by)
    pieces_tidy(now=clock.now())

    assert not Piece.objects.exists()
    assert not piece_path(piece).exists()


def test_bytes_of_a_piece_that_is_being_removed_are_refused(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = received(miner)
    assert tidied(piece) == "READY"
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "piece_unlink", kill)
        with pytest.raises(Killed):
            uploads.piece_remove(piece, by=people.principal())

    with pytest.raises(PieceBusy):
        checks.piece_check(received(miner), by=people.principal())

    assert not Piece.objects.get(pk=piece.pk).has_data


def dropped(of: Miner) -> Piece:
    """A piece whose unsealed copy is dropped, and a kill comes once that is committed."""
    row = factories.piece(of, state="ACTIVE", sector_number=7, offset=0, payload_size=len(DATA))
    piece_path(row).write_bytes(DATA)
    data_drop(row)
    return row


def failed(of: Miner) -> Piece:
    """One that fails, and a kill comes before its file goes."""
    row = received(of)
    with pytest.raises(Killed):
        uploads.piece_fail(row, reason="not what was announced")
    return row


def refused(of: Miner) -> Piece:
    """One that the chain takes no more, and a kill comes before its file goes."""
    row = factories.stored_piece(of)
    with pytest.raises(Killed):
        piece_refuse(row, reason="its allocation expired", work=SimpleNamespace(now=clock.now()))  # type: ignore[arg-type]  # that is all it reads
    return row


@pytest.mark.parametrize("lost", [dropped, failed, refused])
@pytest.mark.parametrize("is_unlinked", [False, True])
def test_bytes_that_a_kill_left_of_a_drop_go_with_the_next_head(
    miner: Miner,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    lost: Callable[[Miner], Piece],
    *,
    is_unlinked: bool,
) -> None:
    with monkeypatch.context() as killing:
        for module in (
            "apps.pieces.services.restored_data",
            "apps.pieces.services.uploads",
            "apps.sectors.services.sealing.packing",
        ):
            killing.setattr(f"{module}.piece_unlink", kill, raising=False)
        piece = lost(miner)
    if is_unlinked:
        piece_path(piece).unlink()
    else:
        assert [path.name for path in folder.iterdir()] == [str(piece.uuid)]

    pieces_tidy(now=clock.now())

    assert list(folder.iterdir()) == []
    assert not Piece.objects.get().has_data
    pieces_tidy(now=clock.now())
    assert not Piece.objects.filter(has_leftover=True).exists()


def test_bytes_that_came_back_meanwhile_outlive_the_next_head(miner: Miner) -> None:
    piece = dropped(miner)
    Piece.objects.update(has_data=True)

    pieces_tidy(now=clock.now())

    assert piece_path(piece).read_bytes() == DATA
    assert not Piece.objects.filter(has_leftover=True).exists()


def test_an_upload_that_ends_while_idle_ones_are_listed_keeps_its_bytes(
    monkeypatch: pytest.MonkeyPatch, miner: Miner
) -> None:
    piece = factories.piece(miner, state="UPLOADING", payload_size=len(DATA))
    Piece.objects.update(updated_at=clock.now() - 2 * RESUMABLE_RETENTION)
    piece_path(piece).write_bytes(DATA)

    def listed(**before: Any) -> list[Piece]:
        found = uploads_idle(**before)
        Piece.objects.filter(pk=piece.pk).update(state="READY", updated_at=clock.now())
        return found

    monkeypatch.setattr(retention, "uploads_idle", listed)
    pieces_tidy(now=clock.now())

    assert piece_path(piece).read_bytes() == DATA
    assert Piece.objects.get().state == "READY"
