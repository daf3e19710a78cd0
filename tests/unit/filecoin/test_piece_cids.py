"""Piece CIDs of version 2: the specification's cases, conversions both ways, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.pieces.data.commitments import small_commitment
from poolsite.filecoin.cids import BadCid, Cid, cid_parse, commd_cid
from poolsite.filecoin.piece_cids import (
    MAX_HEIGHT,
    PIECE_PREFIX,
    SizedPiece,
    is_sized_cid,
    sized_cid,
    sized_cid_read,
    tree_height,
)
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.filecoin.varint import uvarint_write

GOLDEN = Path(__file__).parents[2] / "golden" / "piece_cids" / "frc_0069.json"
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text())
ROOT = sha254_zero(4096)
PIECES = st.builds(
    SizedPiece,
    comm_p=st.binary(min_size=32, max_size=32).map(lambda data: data[:31] + bytes([data[31] & 0x3F])),
    payload_size=st.integers(0, 127 << (MAX_HEIGHT - 2)),
)


def payload_size(case: dict[str, Any]) -> int:
    return sum(count for _, count in case["raw"])


def root_of(case: dict[str, Any]) -> bytes:
    size = payload_size(case)
    if size > 1 << 20:
        return sha254_zero(32 << tree_height(size))
    return small_commitment(b"".join(bytes([byte]) * count for byte, count in case["raw"])).comm_p


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_the_specifications_pieces_have_its_cids(case: dict[str, Any]) -> None:
    piece = SizedPiece(root_of(case), payload_size(case))
    cid = cid_parse(case["v2"])

    assert (str(sized_cid(piece)), sized_cid_read(cid)) == (case["v2"], piece)
    assert str(piece.cid) == case.get("v1", str(piece.cid))
    assert cid.data.hex() == case.get("hex", cid.data.hex())


@given(PIECES)
def test_every_size_reads_back(piece: SizedPiece) -> None:
    cid = sized_cid(piece)

    assert sized_cid_read(cid_parse(str(cid))) == piece
    assert str(cid).startswith("bafkzcib")
    assert piece.padded_size // 128 * 127 >= piece.payload_size
    assert piece.padded_size == 128 or piece.padded_size // 256 * 127 < piece.payload_size


@given(PIECES, st.data())
def test_a_cut_or_changed_padding_is_refused_or_another_size(piece: SizedPiece, data: st.DataObject) -> None:
    digest = sized_cid(piece).digest
    cut = digest[: data.draw(st.integers(0, len(digest) - 1))]
    with pytest.raises(BadCid):
        sized_cid_read(wrapped(cut))
    changed = bytearray(digest)
    changed[data.draw(st.integers(0, len(digest) - 33))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        other = sized_cid_read(wrapped(bytes(changed)))
    except BadCid:
        return
    assert other != piece
    assert sized_cid(other) == wrapped(bytes(changed))


def wrapped(digest: bytes) -> Cid:
    return Cid(PIECE_PREFIX + uvarint_write(len(digest)) + digest)


@pytest.mark.parametrize(
    ("digest", "reason"),
    [
        (b"", "padding"),
        (b"\x80\x00\x02" + ROOT, "padding"),
        (b"\x00\x02" + ROOT[1:], "must have 34 bytes"),
        (b"\x00\x02" + ROOT + b"\x00", "must have 34 bytes"),
        (b"\x00\x01" + ROOT, "height"),
        (b"\x00\x3b" + ROOT, "height"),
        (b"\x7f\x03" + ROOT, "padding of 127 bytes"),
        (b"\x80\x01\x02" + ROOT, "padding of 128 bytes"),
        (b"\x00\x02" + b"\xff" * 32, "truncated hash"),
    ],
)
def test_what_no_piece_has_is_refused(digest: bytes, reason: str) -> None:
    with pytest.raises(BadCid, match=reason):
        sized_cid_read(wrapped(digest))


def test_other_cids_and_sizes_are_refused() -> None:
    assert not is_sized_cid(commd_cid(ROOT))
    with pytest.raises(BadCid, match="wrong prefix"):
        sized_cid_read(commd_cid(ROOT))
    for size in (-1, (127 << (MAX_HEIGHT - 2)) + 1):
        with pytest.raises(BadCid, match="size"):
            sized_cid(SizedPiece(ROOT, size))
    with pytest.raises(BadCid, match="32 bytes"):
        sized_cid(SizedPiece(ROOT[1:], 1))


def test_zeros_behind_a_piece_give_the_roots_of_larger_places() -> None:
    raw = b"piece" * 40
    piece = SizedPiece(small_commitment(raw).comm_p, len(raw))

    assert piece.cid_in(256) == piece.cid
    assert piece.cid_in(2048) == small_commitment(raw.ljust(127 * 16, b"\0")).cid
    with pytest.raises(ValueError, match="does not fit"):
        piece.cid_in(128)
