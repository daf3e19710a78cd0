"""Block indexes of pieces: made for whatever way a CAR came, anew on demand and after a loss, and sampled."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client

from apps.core import clock
from apps.market.services.markets import market_set
from apps.messages.services.recovery.detect import recovery_begin
from apps.miners.models import Miner
from apps.pieces.data.blocks import Merging, index_make, index_path, volume_files, volume_make, volume_path
from apps.pieces.data.files import piece_path
from apps.pieces.due import INDEX
from apps.pieces.models import BlockIndex, BlockVolume, Piece
from apps.pieces.selectors import indexes_wrong
from apps.pieces.services.indexes import (
    SINGLES_MAX,
    index_renew,
    index_update,
    index_verify,
    indexes_combine,
    indexes_update,
)
from apps.pieces.services.uploads import PieceSpec, piece_remove, piece_upload
from apps.users.models import AuditEntry
from poolsite.ipld.block_index import HEADER, IndexReader
from poolsite.ipld.cids import cid_parts, multihash_read, text_write
from tests import factories, people
from tests.cars import blocks_of, car_of, cid_of, golden, piece_of
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

CAR = golden("subdir-with-mixed-block-files")


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path)
    row = factories.miner(2001)
    market_set(row, values={"serves_data": True}, by=people.principal())
    return row


def is_due(*, later: timedelta = timedelta()) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(INDEX.replace("$2", "%s"), [clock.now() + later] * INDEX.count("$2"))
        return cursor.fetchone() is not None


@contextmanager
def disk_full(settings: Any) -> Iterator[None]:
    """Have the disk of pieces full."""
    reserve, settings.DISK_RESERVE_BYTES = settings.DISK_RESERVE_BYTES, 1 << 62
    yield
    settings.DISK_RESERVE_BYTES = reserve


def upload(miner: Miner, data: bytes) -> Piece:
    piece, _ = piece_upload(miner, spec=PieceSpec(), source=io.BytesIO(data), by=people.principal())
    return piece


def outcomes() -> list[tuple[str, int, str]]:
    return list(BlockIndex.objects.order_by("pk").values_list("outcome", "blocks", "reason"))


def test_each_piece_that_came_is_indexed_once(miner: Miner) -> None:
    assert not is_due()
    for data in (CAR, b"no CAR", CAR[:-1]):
        upload(miner, data)
    upload(factories.miner(2002), CAR)
    assert is_due()

    indexes_update(now=clock.now())

    assert outcomes() == [
        ("INDEXED", 10, ""),
        ("NO_CAR", 0, ""),
        ("DAMAGED", 0, f"the CAR ends within the block at byte {len(car_of(blocks_of(CAR)[:-1]))}"),
    ]
    assert not is_due()
    assert sum(index_path(piece).exists() for piece in Piece.objects.all()) == 1
    assert Piece.objects.filter(state="READY", has_data=True).count() == 4


def test_pieces_from_before_are_indexed_once_their_miner_serves_its_data(miner: Miner) -> None:
    market_set(miner, values={"serves_data": False}, by=people.principal())
    upload(miner, CAR)
    assert not is_due()

    market_set(miner, values={"serves_data": True}, by=people.principal())

    assert is_due()
    indexes_update(now=clock.now())
    assert outcomes() == [("INDEXED", 10, "")]


def test_an_index_that_could_not_be_made_is_tried_again(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(miner, CAR)
    with monkeypatch.context() as patch:
        patch.setattr("apps.pieces.data.blocks.sys.executable", "/bin/false")
        indexes_update(now=clock.now())
    [row] = BlockIndex.objects.all()
    assert (row.is_due, str(row.reason)[:31]) == (True, "the index could not be made and")
    assert (is_due(), is_due(later=timedelta(minutes=11))) == (False, True)

    indexes_update(now=clock.now() + timedelta(minutes=11))

    assert outcomes() == [("INDEXED", 10, "")]


def test_an_index_goes_with_its_piece_and_what_a_kill_left_at_once(miner: Miner) -> None:
    piece = upload(miner, CAR)
    left = index_path(piece).with_name(f"{index_path(piece).name}.123")
    left.write_bytes(b"cut")

    indexes_update(now=clock.now())
    assert (index_path(piece).exists(), left.exists()) == (True, False)
    piece_remove(piece, by=people.principal())

    assert not BlockIndex.objects.exists()
    assert list(Path(piece_path(piece).parent).iterdir()) == []


def test_files_of_a_piece_that_went_while_it_was_indexed_go_too(miner: Miner) -> None:
    piece, other = upload(miner, CAR), upload(miner, car_of([(cid_of(b"x"), b"x")]))
    index_make(piece)  # and whoever had that done is killed
    piece.delete()
    piece_path(piece).unlink()
    left = index_path(piece).with_suffix(".hashes.7")
    left.write_bytes(b"of an indexer that was killed, too")
    unknown = piece_path(other).with_name(f"{uuid4()}.blocks")  # to an older copy of the database
    unknown.write_bytes(b"its raw bytes are here")
    unknown.with_suffix("").write_bytes(b"raw")

    indexes_update(now=clock.now())
    piece_path(other).unlink()
    Piece.objects.update(has_data=False)  # the index of a sealed piece is used once it is unsealed
    indexes_update(now=clock.now())

    folder = Path(piece_path(piece).parent)
    assert not list(folder.glob(f"{piece.uuid}*"))
    assert sorted(path.suffix for path in folder.glob(f"{other.uuid}*")) == [".blocks", ".hashes"]
    assert unknown.exists()


def test_indexes_of_before_a_restore_stay_for_their_unknown_pieces(miner: Miner) -> None:
    sealed, newer = piece_of(miner, CAR), piece_of(miner, car_of([(cid_of(b"x"), b"x")]))
    for piece in (sealed, newer):
        piece_path(piece).unlink()
        piece.delete()
    people.operator_person()
    recovery_begin("restored", now=clock.now())
    later = (clock.now() + timedelta(minutes=1)).timestamp()
    for path in index_path(newer).parent.glob(f"{newer.uuid}*"):  # of a piece that went in this database
        os.utime(path, (later, later))

    indexes_update(now=clock.now())

    assert (index_path(sealed).exists(), index_path(newer).exists()) == (True, False)
    page = text_of(signed_in("olga").get("/recovery/"))
    assert (
        "<dt>Block indexes of unknown pieces</dt> <dd>1 in PIECES_DIR, deleted 30 days after the restore"
        in page
    )
    indexes_update(now=clock.now() + timedelta(days=30))
    assert not list(Path(piece_path(sealed).parent).iterdir())


def test_an_index_of_before_is_made_anew_for_its_multihashes(miner: Miner) -> None:
    piece = piece_of(miner, CAR)
    BlockIndex.objects.update(entries="", tried_at=clock.now() - timedelta(days=9))
    piece_of(miner, car_of([(cid_of(b"x", 0x55)[:2] + b"\x00\x01x", b"x")]))  # a CAR without any
    assert is_due()

    indexes_update(now=clock.now())

    piece.block_index.refresh_from_db()
    assert (bool(piece.block_index.entries), piece.block_index.chunks.count(), is_due()) == (True, 1, False)


def test_samples_find_a_damaged_piece_and_make_a_lost_index_anew(miner: Miner) -> None:
    damaged = piece_of(miner, car_of([(cid_of(bytes([n])), bytes([n])) for n in range(4)]))
    lost = piece_of(miner, CAR)
    path = piece_path(damaged)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    index_path(lost).unlink()
    tomorrow = clock.now() + timedelta(days=1, minutes=1)
    assert (is_due(), is_due(later=timedelta(days=1, minutes=1))) == (False, True)

    indexes_update(now=tomorrow)

    rows = BlockIndex.objects.in_bulk()
    assert str(rows[damaged.pk].reason) == "1 of 4 compared blocks are not where the index says, or damaged"
    assert (str(rows[lost.pk].reason), rows[lost.pk].is_due) == ("the index file is gone or cut", True)
    assert {row.pk for row in indexes_wrong()} == {damaged.pk, lost.pk}
    indexes_update(now=tomorrow)
    lost.block_index.refresh_from_db()
    assert (lost.block_index.reason, index_path(lost).exists()) == ("", True)


def test_wrong_blocks_stay_known_until_the_piece_is_indexed_again(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = piece_of(miner, car_of([(cid_of(bytes([n])), bytes([n])) for n in range(4)]))
    path = piece_path(damaged)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    indexes_update(now=clock.now() + timedelta(days=1, minutes=1))
    with monkeypatch.context() as patch:
        patch.setattr("apps.pieces.data.blocks.random.sample", lambda _numbers, _count: [])
        index_verify(BlockIndex.objects.get())

    assert "1 of 4 compared blocks" in outcomes()[0][2]
    market_set(miner, values={"serves_data": False}, by=people.principal())
    assert not indexes_wrong()  # nobody could get them, and they are not indexed again
    market_set(miner, values={"serves_data": True}, by=people.principal())
    path.write_bytes(whole)
    index_renew(damaged, by=people.principal())
    indexes_update(now=clock.now())

    assert outcomes() == [("INDEXED", 4, "")]


def test_no_index_is_written_into_the_reserve_of_a_disk(miner: Miner, settings: Any) -> None:
    upload(miner, CAR)
    with disk_full(settings):
        indexes_update(now=clock.now())

    assert [row.pk for row in indexes_wrong()] == [BlockIndex.objects.get(is_due=True, outcome="").pk]
    indexes_update(now=clock.now() + timedelta(minutes=11))
    assert outcomes() == [("INDEXED", 10, "")]


def test_somebody_has_a_piece_indexed_anew(client: Client, miner: Miner) -> None:
    piece = piece_of(miner, CAR)
    headers = people.bearer(people.token("write"))

    answer = client.post(f"/api/v1/pieces/{piece.piece_cid}/index", headers=headers)

    shown = answer.json()["index"]
    assert (answer.status_code, shown["is_due"], shown["outcome"], shown["blocks"]) == (
        202,
        True,
        "INDEXED",
        10,
    )
    assert is_due()
    assert AuditEntry.objects.filter(action="piece.index").count() == 1
    stranger = people.bearer(people.token("write", of="bob"))
    assert client.post(f"/api/v1/pieces/{piece.piece_cid}/index", headers=stranger).status_code == 404
    reader = people.bearer(people.token("read"))
    assert client.post(f"/api/v1/pieces/{piece.piece_cid}/index", headers=reader).status_code == 403
    market_set(miner, values={"serves_data": False}, by=people.principal())
    refused = client.post(f"/api/v1/pieces/{piece.piece_cid}/index", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "piece_not_served")


def test_the_page_shows_what_a_piece_holds_and_indexes_it_anew(miner: Miner) -> None:
    people.person()
    browser = signed_in()
    piece = piece_of(miner, CAR)
    piece_of(miner, CAR[:-1])
    piece_of(miner, b"no CAR")
    piece_of(miner, CAR, is_indexed=False)

    shown = text_of(browser.get("/pieces/"))
    assert "10 data blocks" in shown
    assert "Not a CAR" in shown
    assert "Damaged CAR; the CAR ends within the block" in shown
    browser.post(f"/pieces/{piece.uuid}/index/")

    assert BlockIndex.objects.get(pk=piece.pk).is_due
    assert "to be indexed" in text_of(browser.get("/pieces/"))


def volumes_of(pieces: list[Piece]) -> list[int]:
    """Return how often the only volume names each of some pieces for the block that all of them have."""
    [volume] = BlockVolume.objects.all()
    wanted = multihash_read(cid_parts(cid_of(b"same")).multihash).digest
    named = [place.at for place in IndexReader(volume_path(volume.name)).find(wanted)]
    return [named.count(piece.pk) for piece in pieces]


def same_pieces(miner: Miner, count: int) -> list[Piece]:
    """Return pieces, each with a block of its own and one that all have."""
    blocks = [(cid_of(data), data) for data in (uuid4().bytes for _ in range(count))]
    return [piece_of(miner, car_of([block, (cid_of(b"same"), b"same")])) for block in blocks]


def test_volumes_hold_each_index_once_while_it_counts(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.pieces.services.indexes.SINGLES_MAX", 2)
    pieces = same_pieces(miner, 4)
    indexes_update(now=clock.now())
    assert volumes_of(pieces) == [1] * 4
    left = volume_path(uuid4())
    for path in (left, left.with_name(f"{left.name}.7")):  # of a merger that was killed
        path.write_bytes(b"")
        os.utime(path, (1, 1))

    BlockIndex.objects.filter(pk=pieces[0].pk).update(volume=None, outcome="NO_CAR")
    index_update(pieces[1])
    pieces += same_pieces(miner, 2)
    indexes_update(now=clock.now())

    assert volumes_of(pieces) == [0, *[1] * 5]
    assert BlockIndex.objects.filter(volume=None, outcome="INDEXED").count() == 0
    assert len(volume_files()) == 1


def test_indexes_are_merged_once_they_are_enough(miner: Miner) -> None:
    values = {
        "outcome": "INDEXED",
        "blocks": 1,
        "entries": text_write(cid_of(b"")),
        "sampled_at": clock.now(),
    }
    pieces = [factories.piece(miner, allocation=number, client=5) for number in range(SINGLES_MAX)]
    BlockIndex.objects.bulk_create(BlockIndex(piece=piece, **values) for piece in pieces[1:])
    Piece.objects.filter(pk=pieces[0].pk).update(has_data=False)
    assert not is_due()

    BlockIndex.objects.create(piece=pieces[0], **values)

    assert is_due()


@pytest.mark.parametrize("fault", ["gone", "changed", "blind"])
def test_a_damaged_volume_is_made_anew_of_the_indexes(
    miner: Miner, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.pieces.services.indexes.SINGLES_MAX", 2)
    pieces, now = same_pieces(miner, 2), clock.now()
    indexes_update(now=now)
    [old] = BlockVolume.objects.all()
    path = volume_path(old.name)
    whole = path.read_bytes()
    if fault == "gone":
        path.unlink()
    if fault == "changed":  # an entry, which the next merge reads
        path.write_bytes(whole[:-1] + b"\x01")
        pieces += same_pieces(miner, 2)
    if fault == "blind":  # the filter, by which nothing would be found any more
        path.write_bytes(whole[: HEADER.size] + bytes(128) + whole[HEADER.size + 128 :])
        now += timedelta(days=1, minutes=1)

    for _ in range(2):
        indexes_update(now=now)

    assert not BlockVolume.objects.filter(name=old.name).exists()
    assert volumes_of(pieces) == [1] * len(pieces)


def test_a_lost_index_does_not_keep_others_from_being_merged(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.pieces.services.indexes.SINGLES_MAX", 2)
    pieces = same_pieces(miner, 3)
    index_path(pieces[0]).unlink()

    indexes_update(now=clock.now())

    assert volumes_of(pieces) == [0, 1, 1]
    assert str(BlockIndex.objects.get(is_due=True).reason) == "the index file is gone or cut"


def test_what_another_merger_has_done_meanwhile_stays(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.pieces.services.indexes.SINGLES_MAX", 2)
    pieces = same_pieces(miner, 2)

    def merged_beside(name: UUID, sources: list[dict[str, object]]) -> Merging | None:
        with monkeypatch.context() as patch:
            patch.setattr("apps.pieces.services.indexes.volume_make", volume_make)
            assert indexes_combine()
        return volume_make(name, sources)

    monkeypatch.setattr("apps.pieces.services.indexes.volume_make", merged_beside)

    assert not indexes_combine()
    assert (volumes_of(pieces), len(volume_files())) == ([1, 1], 1)
