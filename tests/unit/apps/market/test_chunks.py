"""Uploads of a deal's data in chunks: put together, lost, killed amid it, and removed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from apps.core import clock
from apps.core.errors import BadValue
from apps.market.errors import ChunkRefused, DealNeedsNoData
from apps.market.models import Deal
from apps.market.selectors.deals import chunks_received
from apps.market.services import transfers
from apps.market.services.follow import deals_join
from apps.market.services.transfers import (
    chunk_place,
    chunk_upload,
    chunks_begin,
    upload_complete,
)
from apps.miners.models import Miner
from apps.pieces.data.files import file_locked, piece_path
from apps.pieces.errors import UploadIncomplete
from apps.pieces.models import Piece
from apps.pieces.services import uploads
from tests import factories
from tests.unit.apps.market.deal_data import DATA, deal, go_on, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE = str(tmp_path / "pieces"), True
    factories.head(1000)
    return factories.miner(2001)


def chunked(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> Deal:
    monkeypatch.setattr(transfers, "CHUNK_LEAST", 512)
    one = deal(miner)
    chunks_begin(one, raw_size=1500, chunk_size=512)
    return one


def chunk(one: Deal, number: int, data: bytes | None = None) -> None:
    first = 512 * (number - 1)
    chunk_upload(one, number=number, source=io.BytesIO(DATA[first : first + 512] if data is None else data))


def test_chunks_come_in_any_order_and_are_put_together(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    one = chunked(miner, monkeypatch)
    with pytest.raises(ChunkRefused, match="already started"):
        chunks_begin(one, raw_size=1500, chunk_size=512)
    for number in (3, 1):
        chunk(one, number)
    assert chunks_received(one) == [1, 3]
    with pytest.raises(ChunkRefused, match="deal upload has not finished"):
        upload_complete(one)
    with pytest.raises(ChunkRefused, match="chunk already uploaded"):
        chunk(one, 3)
    with pytest.raises(ChunkRefused, match="chunk not found"):
        chunk(one, 4)
    with pytest.raises(UploadIncomplete):
        chunk(one, 2, b"short")
    with pytest.raises(UploadIncomplete):
        chunk(one, 2, bytes(513))
    chunk(one, 2)
    upload_complete(one)
    upload_complete(one)

    assert go_on(one).state == "VERIFIED"
    assert piece_path(Piece.objects.get()).read_bytes() == DATA
    assert not list(chunk_place(one, number=1).parent.glob("*.chunk"))


def test_a_chunk_that_came_this_moment_is_not_written_over(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, real = chunked(miner, monkeypatch), file_locked

    @contextmanager
    def late(path: Path) -> Iterator[Any]:
        monkeypatch.setattr(transfers, "file_locked", real)
        chunk(one, 1)
        with real(path) as file:
            yield file

    monkeypatch.setattr(transfers, "file_locked", late)
    with pytest.raises(ChunkRefused, match="chunk already uploaded"):
        chunk(one, 1, b"short")

    assert chunk_place(one, number=1).read_bytes() == DATA[:512]


def test_a_chunk_that_comes_after_its_deal_has_ended_is_not_kept(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            Deal.objects.update(state="FAILED")
            return super().read(size)

    one = chunked(miner, monkeypatch)

    with pytest.raises(DealNeedsNoData):
        chunk_upload(one, number=1, source=Slow(DATA[:512]))

    assert not chunk_place(one, number=1).exists()
    assert chunks_received(one) == []


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_kill_while_chunks_are_put_together_loses_nothing(
    miner: Miner, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    one = chunked(miner, monkeypatch)
    for number in (1, 2, 3):
        chunk(one, number)
    upload_complete(one)
    parts, real = iter(range(1, 9)), uploads.part_upload

    def killed(*args: Any, **options: Any) -> Any:
        if next(parts) == after + 1:
            raise KeyboardInterrupt
        answer = real(*args, **options)
        if after == 3:
            raise KeyboardInterrupt
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(transfers, "part_upload", killed)
        with pytest.raises(KeyboardInterrupt):
            deals_join()

    assert go_on(one).state == "VERIFIED"
    assert piece_path(Piece.objects.get()).read_bytes() == DATA


def test_a_chunk_that_is_gone_has_all_sent_again(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    one = chunked(miner, monkeypatch)
    for number in (1, 2, 3):
        chunk(one, number)
    upload_complete(one)
    chunk_place(one, number=2).unlink()

    assert (go_on(one).state, one.chunk_size, chunks_received(one)) == ("ACCEPTED", None, [])
    assert one.reason == "chunk 2 is gone from the disk: send the data again"
    upload(one)
    assert go_on(one).state == "VERIFIED"


@pytest.mark.parametrize(
    ("raw_size", "chunk_size", "reason"),
    [
        (1499, 1 << 20, "does not match"),
        (1500, 3 << 20, "power of 2"),
        (1500, 512, "too small"),
        (1500, 2 << 30, "too large"),
    ],
)
def test_an_upload_in_chunks_that_cannot_be_is_refused(
    miner: Miner, raw_size: int, chunk_size: int, reason: str
) -> None:
    with pytest.raises(BadValue, match=reason):
        chunks_begin(deal(miner), raw_size=raw_size, chunk_size=chunk_size)


def test_chunks_go_when_the_same_data_have_come_another_way(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = chunked(miner, monkeypatch)
    chunk(one, 1)
    upload(deal(miner, client=factories.secp(6)))

    assert go_on(one).state == "VERIFIED"
    assert not list(chunk_place(one, number=1).parent.glob("*.chunk"))
    assert chunks_received(one) == []


def test_chunks_that_nobody_awaits_are_removed(
    miner: Miner, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    awaited, over = deal(miner), deal(miner, b"other", state="FAILED")
    folder = Path(settings.PIECES_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    kept = {f"{awaited.uuid}.1.chunk", "notes.1.chunk"}
    unknown = f"{uuid4()}.1.chunk"
    for name in (*kept, unknown, f"{over.uuid}.1.chunk", f"{over.uuid}.2.chunk"):
        (folder / name).write_bytes(b"x")
    restored = SimpleNamespace(restored_at=clock.now() + timedelta(minutes=1))
    monkeypatch.setattr(transfers, "restore_check", lambda **_: restored)

    def left(**later: int) -> set[str]:
        transfers.chunks_sweep(now=clock.now() + timedelta(**later))
        return {path.name for path in folder.glob("*.chunk")}

    assert left(minutes=2) == {*kept, unknown}, "another backup may know its deal"
    assert left(days=400) == kept
