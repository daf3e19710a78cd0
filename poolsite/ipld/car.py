"""CAR files: a header with roots, then blocks, each behind its length and its CID; version 2 wraps that.

A block is read a part at a time: none is larger in memory than the reader's buffer, whatever a file says.
Source: ipld.io/specs/transport/car/carv1, carv2; ipld/go-car v2 limits.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Final, NamedTuple

from poolsite.filecoin.cids import BadCid
from poolsite.filecoin.varint import BadVarint, uvarint_read, uvarint_write
from poolsite.ipld import dag_cbor
from poolsite.ipld.cids import BLAKE2B, HASHES, Multihash, cid_parts, cid_read, multihash_read

PRAGMA: Final = bytes.fromhex("0aa16776657273696f6e02")
"""Begins a CAR of version 2: the header {version: 2}."""
V2_HEADER_BYTES: Final = 40
HEADER_MAX: Final = 1 << 20
"""Bytes of a header; a thousand roots take 40,000."""
SECTION_MAX: Final = 32 << 20
"""Bytes of the longest CID with its block, as go-car has it."""
BLOCK_MAX: Final = 4 << 20
"""Bytes of the largest block that is indexed: it is held in memory when it is sent."""
READ_BYTES: Final = 4 << 20
HEAD_MAX: Final = 10 + 512
"""Bytes of a length and a CID."""


class CarFault(StrEnum):
    """Fault of a CAR."""

    CUT = "cut"
    """It ends within a block."""
    LENGTH = "length"
    """A length that is none, or of more than `SECTION_MAX` bytes."""
    CID = "cid"
    """A block without a CID."""
    BLOCK = "block"
    """A block that is not what its CID says."""
    HEADER = "header"
    """Version 2 with a range of data that the file does not have, or no header there."""
    MANY = "many"
    """More blocks than an index takes."""


class BadCar(ValueError):
    """A damaged CAR."""

    def __init__(self, fault: CarFault, at: int) -> None:
        self.fault, self.at = fault, at
        """Byte of the file."""
        super().__init__(f"{fault} at byte {at}")


class NotCar(ValueError):
    """Bytes that do not begin as a CAR."""


class Block(NamedTuple):
    """A block with its place in the file."""

    multihash: Multihash
    at: int
    """Byte of the file at which its data begin."""
    size: int


@dataclass(frozen=True, slots=True)
class CarHeader:
    """The header of a CAR."""

    version: int
    roots: tuple[bytes, ...]
    first: int
    """Byte of the file behind the header."""
    end: int
    """Byte of the file behind the last block, at most."""


def header_write(roots: list[bytes]) -> bytes:
    """Return the beginning of a CAR of version 1."""
    body = dag_cbor.car_header(roots)
    return uvarint_write(len(body)) + body


def section_write(cid: bytes, data: bytes) -> bytes:
    """Return a block as a CAR has it."""
    return uvarint_write(len(cid) + len(data)) + cid + data


def header_read(file: BinaryIO) -> CarHeader:
    """Read the header of a CAR.  Raises NotCar, BadCar."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(PRAGMA)) != PRAGMA:
        return _v1_header(file, 0, size, version=1)
    rest = file.read(V2_HEADER_BYTES)
    first, length = int.from_bytes(rest[16:24], "little"), int.from_bytes(rest[24:32], "little")
    if len(rest) < V2_HEADER_BYTES or first < len(PRAGMA) + V2_HEADER_BYTES or first + length > size:
        raise BadCar(CarFault.HEADER, len(PRAGMA))
    try:
        return _v1_header(file, first, first + length, version=2)
    except NotCar:
        raise BadCar(CarFault.HEADER, first) from None


def _v1_header(file: BinaryIO, first: int, end: int, *, version: int) -> CarHeader:
    file.seek(first)
    head = file.read(10)
    try:
        length, at = uvarint_read(head, 0)
    except BadVarint:
        raise NotCar from None
    if not 0 < length <= min(HEADER_MAX, end - first - at):
        raise NotCar
    file.seek(first + at)
    try:
        roots = dag_cbor.car_roots(file.read(length))
    except (dag_cbor.BadDagCbor, BadCid):
        raise NotCar from None
    return CarHeader(version, roots, first + at + length, end)


def blocks_read(file: BinaryIO, header: CarHeader) -> Iterator[Block]:
    """Yield the blocks of a CAR, each compared with its CID.  Raises BadCar.

    Identity CIDs and hashes that cannot be verified come without a comparison.  A length of 0 ends the
    blocks: clients fill CARs up with zeros.
    """
    at, buffer, start = header.first, b"", header.first
    while at < header.end:
        if at + HEAD_MAX > start + len(buffer):
            file.seek(at)
            buffer, start = file.read(min(READ_BYTES, header.end - at)), at
        length, block = _section_read(buffer, at - start, at, header.end)
        if block is None:
            return
        first = start + block.at
        end = first + block.size
        if block.multihash.is_verifiable:
            if end <= start + len(buffer):
                is_right = block.multihash.is_of(memoryview(buffer)[block.at : block.at + block.size])
            else:
                is_right = _is_of_file(file, block.multihash, first, end)
            if not is_right:
                raise BadCar(CarFault.BLOCK, at)
        yield block._replace(at=first)
        at += length


def _section_read(buffer: bytes, place: int, at: int, most: int) -> tuple[int, Block | None]:
    """Return the bytes of a section and its block, by its byte of the buffer; None: zeros follow.

    Raises BadCar.
    """
    try:
        length, body = uvarint_read(buffer, place)
    except BadVarint:
        raise BadCar(CarFault.LENGTH, at) from None
    if length > SECTION_MAX:
        raise BadCar(CarFault.LENGTH, at)
    end = body + length
    if at + end - place > most:
        raise BadCar(CarFault.CUT, at)
    if not length:
        return 1, None
    try:
        cid, data = cid_read(buffer, body)
    except BadCid:
        raise BadCar(CarFault.CID, at) from None
    if data > end:
        raise BadCar(CarFault.CID, at)
    return end - place, Block(multihash_read(cid_parts(cid).multihash), data, end - data)


def _is_of_file(file: BinaryIO, multihash: Multihash, first: int, end: int) -> bool:
    """Return whether bytes of a file have a hash, without holding them."""
    hasher = _hasher(multihash.code)
    file.seek(first)
    while first < end and (chunk := file.read(min(READ_BYTES, end - first))):
        hasher.update(chunk)
        first += len(chunk)
    return first == end and hasher.digest().startswith(multihash.digest)


def _hasher(code: int) -> hashlib._Hash | hashlib.blake2b:
    if code in BLAKE2B:
        return hashlib.blake2b(digest_size=code - BLAKE2B.start + 1)
    return hashlib.new(HASHES[code])
