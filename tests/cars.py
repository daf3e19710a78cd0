"""CAR files for tests: small ones that are made here, and those of the gateways' own conformance tests."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, Final

from apps.miners.models import Miner
from apps.pieces.data.files import piece_path
from apps.pieces.models import Piece
from apps.pieces.services.indexes import index_update
from poolsite.filecoin.varint import uvarint_read, uvarint_write
from poolsite.ipld import dag_cbor
from poolsite.ipld.car import header_read, header_write, section_write
from poolsite.ipld.cids import cid_read, text_write
from poolsite.libp2p.protobuf import bytes_field, number_field
from tests import factories

FOLDER: Final = Path(__file__).resolve().parent / "golden" / "cars"


def cid_of(data: bytes, codec: int = 0x55) -> bytes:
    """Return a CID of version 1 by SHA-256."""
    return b"\x01" + uvarint_write(codec) + b"\x12\x20" + hashlib.sha256(data).digest()


def car_of(blocks: list[tuple[bytes, bytes]], *, roots: list[bytes] | None = None) -> bytes:
    """Return a CAR of version 1 of CIDs with their blocks; its root is the first."""
    listed = [blocks[0][0]] if roots is None else roots
    return header_write(listed) + b"".join(section_write(cid, data) for cid, data in blocks)


def car_v2_of(v1: bytes) -> bytes:
    """Return a CAR of version 2 around one of version 1, without an index."""
    first = 11 + 40
    numbers = b"".join(number.to_bytes(8, "little") for number in (first, len(v1), 0))
    return bytes.fromhex("0aa16776657273696f6e02") + bytes(16) + numbers + v1


def golden(name: str) -> bytes:
    """Return a file of the conformance tests."""
    return (FOLDER / f"{name}.car").read_bytes()


def blocks_of(car: bytes) -> list[tuple[bytes, bytes]]:
    """Return the CIDs of a CAR with their blocks, in its order."""
    at, found = header_read(io.BytesIO(car)).first, []
    while at < len(car):
        length, body = uvarint_read(car, at)
        cid, data = cid_read(car, body)
        at = body + length
        found.append((cid, car[data:at]))
    return found


def names_of(car: bytes) -> list[str]:
    """Return the texts of a CAR's CIDs, in its order."""
    return [text_write(cid) for cid, _ in blocks_of(car)]


def link(cid: bytes) -> bytes:
    """Return a dag-cbor link."""
    return dag_cbor.car_header([cid])[8 : -len(b"\x67version\x01")]


def file_of(children: list[tuple[bytes, int]], inline: bytes = b"") -> tuple[bytes, bytes]:
    """Return CID and block of a UnixFS file, of the CIDs below it with their bytes."""
    unixfs = number_field(1, 2) + (bytes_field(2, inline) if inline else b"")
    unixfs += b"".join(number_field(4, size) for _, size in children)
    data = b"".join(bytes_field(2, bytes_field(1, cid)) for cid, _ in children) + bytes_field(1, unixfs)
    return cid_of(data, 0x70), data


def piece_of(miner: Miner, data: bytes, *, is_indexed: bool = True, **values: Any) -> Piece:
    """Return an active piece of these bytes, indexed."""
    values = {"state": "ACTIVE", "sector_number": 0, "offset": 0, **values}
    piece = factories.piece(miner, payload_size=len(data), **values)
    piece_path(piece).write_bytes(data)
    if is_indexed:
        index_update(piece)
    return piece
