"""CAR files of both versions, CIDs of any kind and index files: read, written, and refused where damaged."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from poolsite.filecoin import cbor
from poolsite.filecoin.cids import BadCid
from poolsite.filecoin.varint import uvarint_write
from poolsite.ipld import dag_cbor
from poolsite.ipld.block_index import BadIndex, IndexReader, IndexWriter
from poolsite.ipld.car import READ_BYTES, CarFault, header_read, header_write, section_write
from poolsite.ipld.cids import cid_parts, multihash_read, multihashes_split, text_read, text_write
from poolsite.ipld.indexer import car_index
from poolsite.ipld.unixfs import name_hash
from poolsite.libp2p.ipni import chunk_make
from tests.cars import FOLDER, blocks_of, car_of, car_v2_of, cid_of, golden, names_of

V0 = "QmYhmPjhFjYFyaoiuNzYv8WGavpSRDwdHWe5B4M5du5Rtk"
BLOCKS = [(cid_of(data), data) for data in (b"one", b"two" * 1000, b"three")]


def indexed(folder: Path, car: bytes) -> dict[str, object]:
    (folder / "car").write_bytes(car)
    found = car_index(folder / "car", folder / "index")
    found.pop("chunks", None)
    return found


@pytest.mark.parametrize("name", [file.stem for file in sorted(FOLDER.glob("*.car"))])
def test_each_block_is_found_where_it_lies(tmp_path: Path, name: str) -> None:
    car, blocks = golden(name), blocks_of(golden(name))

    for data in (car, car_v2_of(car), car + bytes(500)):
        assert indexed(tmp_path, data) == {"blocks": len(blocks), "left_out": 0}
        index = IndexReader(tmp_path / "index")
        for cid, block in blocks:
            [place] = index.find(multihash_read(cid_parts(cid).multihash).digest)
            assert data[place.at : place.at + place.size] == block
        assert index.find(hashlib.sha256(b"none").digest()) == []
        keys = [index.entry(number)[0] for number in range(index.count)]
        assert keys == sorted(keys)


def test_the_index_is_made_by_a_command_and_is_there_only_when_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "car").write_bytes(car_of(BLOCKS))
    command = [sys.executable, "-m", "poolsite.ipld.indexer", "car", "index"]
    root = Path(__file__).resolve().parents[3]

    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, check=True, env={"PYTHONPATH": str(root)}
    )

    hashes = [cid_parts(cid).multihash for cid, _ in BLOCKS]
    chunk = chunk_make(hashes, None)
    assert json.loads(done.stdout) == {"blocks": 3, "left_out": 0, "chunks": [[str(chunk.cid), 0, 3 * 34, 3]]}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["car", "index", "index.hashes"]
    assert (tmp_path / "index.hashes").read_bytes() == b"".join(hashes)


def test_a_block_longer_than_what_is_read_at_a_time_is_compared_too(tmp_path: Path) -> None:
    data = bytes(READ_BYTES + 10)
    late = [(cid_of(bytes(READ_BYTES - 100)), bytes(READ_BYTES - 100)), BLOCKS[0], BLOCKS[1]]

    assert indexed(tmp_path, car_of([*late, (cid_of(data), data), BLOCKS[2]])) == {"blocks": 4, "left_out": 1}
    wrong = section_write(cid_of(data), data[:-1] + b"x")
    assert indexed(tmp_path, car_of(BLOCKS[:1]) + wrong)["fault"] == "block"


def test_blocks_that_nobody_could_verify_are_left_out(tmp_path: Path) -> None:
    identity, sha1 = b"\x01\x55\x00\x02hi", b"\x01\x55\x11\x14" + hashlib.sha1(b"x").digest()
    blake = b"\x01\x55\xa0\xe4\x02\x20" + hashlib.blake2b(b"y", digest_size=32).digest()
    sha3 = b"\x01\x55\x16\x20" + hashlib.sha3_256(b"z").digest()

    blocks = [(identity, b"hi"), (sha1, b"x"), (blake, b"y"), (sha3, b"z")]
    assert indexed(tmp_path, car_of(blocks)) == {"blocks": 2, "left_out": 2}


@pytest.mark.parametrize(
    "data", [b"", b"x" * 100, b"\x00" * 100, b"\xff" * 100, header_write([])[:-1], b"PK\x03\x04"]
)
def test_what_begins_otherwise_is_no_car(tmp_path: Path, data: bytes) -> None:
    assert indexed(tmp_path, data) == {"fault": "none", "at": 0}
    assert not (tmp_path / "index").exists()


def test_a_damaged_car_is_refused_with_the_byte(tmp_path: Path) -> None:
    car = car_of(BLOCKS)
    first = len(car_of(BLOCKS[:1]))
    flipped = bytearray(car)
    flipped[first + 60] ^= 1

    def fault(data: bytes) -> tuple[object, object]:
        found = indexed(tmp_path, data)
        return found["fault"], found["at"]

    assert fault(car[:-1]) == (CarFault.CUT, len(car_of(BLOCKS[:2])))
    assert fault(bytes(flipped)) == (CarFault.BLOCK, first)
    assert fault(car + uvarint_write(33 << 20)) == (CarFault.LENGTH, len(car))
    assert fault(car + b"\xff" * 11) == (CarFault.LENGTH, len(car))
    assert fault(car + b"\x05\x02xxxx") == (CarFault.CID, len(car))
    assert fault(car + b"\x02" + cid_of(b"")) == (CarFault.CID, len(car))
    assert fault(car_v2_of(car)[:-1]) == (CarFault.HEADER, 11)
    assert fault(car_v2_of(b"none of version 1")) == (CarFault.HEADER, 51)
    assert not (tmp_path / "index").exists()


def test_a_block_that_a_car_has_often_is_one_entry(tmp_path: Path) -> None:
    assert indexed(tmp_path, car_of([*BLOCKS, *BLOCKS[:1] * 5_000])) == {"blocks": 3, "left_out": 0}

    index = IndexReader(tmp_path / "index")
    hashes = b"".join(cid_parts(cid).multihash for cid, _ in BLOCKS)
    assert (index.count, (tmp_path / "index.hashes").read_bytes()) == (3, hashes)
    for cid, data in BLOCKS:
        [place] = index.find(multihash_read(cid_parts(cid).multihash).digest)
        assert place.size == len(data)


def test_multihashes_are_listed_by_chunks_that_link_to_each_other(tmp_path: Path) -> None:
    blocks = [(cid_of(data), data) for data in (number.to_bytes(2, "big") for number in range(40_000))]
    (tmp_path / "car").write_bytes(car_of(blocks))

    found = car_index(tmp_path / "car", tmp_path / "index")

    listed, last, hashes = (tmp_path / "index.hashes").read_bytes(), None, list[bytes]()
    for name, at, size, _ in found["chunks"]:
        chunk = chunk_make(list(multihashes_split(listed[at : at + size])), last)
        assert str(chunk.cid) == name
        hashes += cbor_lists(chunk.body)
        last = chunk.cid
    assert len(found["chunks"]) == 3
    assert hashes == [cid_parts(cid).multihash for cid, _ in blocks]


def cbor_lists(chunk: bytes) -> list[bytes]:
    """Return the multihashes of a chunk; lists of chain objects are shorter, so their reader refuses it."""
    at = dag_cbor.item_at(chunk, 0, "Entries")
    assert at is not None
    _, count, at = cbor.head_read(chunk, at)
    found = []
    for _ in range(count):
        one, at = cbor.bytes_read(chunk, at)
        found.append(one)
    assert at == len(chunk)
    return found


def test_nothing_stays_of_an_index_for_which_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("poolsite.ipld.indexer.os.fsync", full)

    with pytest.raises(OSError, match="No space"):
        indexed(tmp_path, car_of(BLOCKS))
    assert [file.name for file in tmp_path.iterdir()] == ["car"]


def test_a_group_that_is_damaged_is_told(tmp_path: Path) -> None:
    indexed(tmp_path, car_of(BLOCKS))
    path = tmp_path / "index"
    data = bytearray(path.read_bytes())
    starts = len(data) - 3 * 28 - 8
    data[starts + 4 : starts + 8] = b"\xff" * 4
    path.write_bytes(data)

    with pytest.raises(BadIndex):
        IndexReader(path).find(hashlib.sha256(b"one").digest())


def test_an_index_that_was_cut_is_none(tmp_path: Path) -> None:
    path = tmp_path / "index"
    with path.open("wb") as file:
        writer = IndexWriter()
        writer.add(bytes(32), at=5, size=6)
        writer.write(file)
    whole = path.read_bytes()
    assert IndexReader(path).find(bytes(32)) == [(0, 5, 6)]
    for data in (whole[:-1], whole[:20], b"x" + whole[1:], whole + b"x"):
        path.write_bytes(data)
        with pytest.raises(BadIndex):
            IndexReader(path)


def test_many_blocks_are_found_and_others_are_not(tmp_path: Path) -> None:
    digests = [hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(20_000)]
    writer = IndexWriter()
    for number, digest in enumerate(digests[:10_000]):
        writer.add(digest, at=number, size=1)
    with (tmp_path / "index").open("wb") as file:
        writer.write(file)

    index = IndexReader(tmp_path / "index")

    assert [index.find(digest)[0].at for digest in digests[:10_000]] == list(range(10_000))
    assert not any(index.find(digest) for digest in digests[10_000:])


def test_a_cid_is_read_in_each_encoding() -> None:
    cid = cid_of(b"a block")
    base36, number = "", int.from_bytes(cid, "big")
    while number:
        number, digit = divmod(number, 36)
        base36 = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + base36

    lower = base64.b32encode(cid).decode().rstrip("=").lower()
    for text in (f"b{lower}", f"B{lower.upper()}", f"f{cid.hex()}", f"k{base36}"):
        assert text_read(text) == cid
    assert text_write(cid) == f"b{lower}"
    assert text_write(text_read(V0)) == V0
    assert names_of(golden("file-3k-and-3-blocks-missing-block"))[0] == V0
    for text in ("", "b", "x123", "b!!", "Qm", V0[:-1], "z" + V0, "f12", f"b{lower}aa", "k-1", "b" * 2000):
        with pytest.raises(BadCid):
            text_read(text)


def test_names_are_hashed_as_murmur3() -> None:
    """Values of the reference implementation, murmur3-x64-128 with seed 0, first half."""
    assert name_hash(b"") == 0
    assert name_hash(b"hello") == 0xCBD8A7B341BD9B02
    assert name_hash(b"hello, world") == 0x342FAC623A5EBC8E
    assert name_hash(b"The quick brown fox jumps over the lazy dog.") == 0xCD99481F9EE902C9


def test_the_header_of_a_car_is_that_of_other_programs() -> None:
    car = golden("subdir-with-two-single-block-files")

    with (FOLDER / "subdir-with-two-single-block-files.car").open("rb") as file:
        header = header_read(file)

    assert header_write(list(header.roots)) == car[: header.first]
    assert car_of(blocks_of(car)) == car
