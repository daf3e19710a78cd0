"""Content identifiers of any kind, as bytes: of both versions, any codec and any hash that can be verified.

`poolsite.filecoin.cids` reads the few kinds of the chain and refuses all others; clients' data have these.
Source: multiformats/cid README.md; multiformats/multicodec table.csv; multiformats/multibase multibase.csv.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Final, NamedTuple

from poolsite.filecoin.cids import MAX_CID_LEN, BadCid
from poolsite.filecoin.multiaddr import BadMultiaddr, base58_decode, base58_encode
from poolsite.filecoin.varint import BadVarint, uvarint_read, uvarint_write

RAW: Final = 0x55
DAG_PB: Final = 0x70
DAG_CBOR: Final = 0x71

IDENTITY: Final = 0x00
"""The "hash" that is the data."""
SHA2_256: Final = 0x12
BLAKE2B: Final = range(0xB201, 0xB241)
"""BLAKE2b of 1 to 64 bytes, by code."""
HASHES: Final = {SHA2_256: "sha256", 0x13: "sha512", 0x14: "sha3_512", 0x15: "sha3_384", 0x16: "sha3_256"}
"""hashlib's names by code.  SHA-1 and what is shorter are left out: other data can be made with its hash."""
CODES: Final = (*HASHES, *BLAKE2B[19:])
"""Codes of the functions that can be verified, the usual ones first."""
DIGEST_MIN: Final = 20
"""Bytes of the shortest digest that is taken, as go-verifcid has it."""
V0_LEN: Final = 34
"""Bytes of a CID of version 0: a SHA-256 multihash, always of dag-pb."""
BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class Parts(NamedTuple):
    """The parts of a CID."""

    codec: int
    multihash: bytes


def hash_of(code: int, data: bytes | memoryview) -> bytes:
    """Return the hash of data by a function of `CODES`."""
    if code in BLAKE2B:
        return hashlib.blake2b(data, digest_size=code - BLAKE2B.start + 1).digest()
    return hashlib.new(HASHES[code], data).digest()


@dataclass(frozen=True, slots=True)
class Multihash:
    """Hash function and digest."""

    code: int
    digest: bytes

    @property
    def is_verifiable(self) -> bool:
        """Return whether data can be compared with it."""
        return self.code in CODES and len(self.digest) >= DIGEST_MIN

    def is_of(self, data: bytes | memoryview) -> bool:
        """Return whether data have this hash; not if the function is unknown."""
        return self.is_verifiable and hash_of(self.code, data).startswith(self.digest)


def cid_read(data: bytes | memoryview, at: int) -> tuple[bytes, int]:
    """Read the CID at `at`; return it and the position behind it.  Raises BadCid."""
    head = bytes(data[at : at + MAX_CID_LEN])
    if head[:2] == b"\x12\x20":
        if len(head) < V0_LEN:
            raise BadCid("invalid cid: cid too short")
        return head[:V0_LEN], at + V0_LEN
    try:
        version, end = uvarint_read(head, 0)
        if version != 1:
            raise BadCid(f"invalid cid: expected 1 as the cid version number, got: {version}")
        _, end = uvarint_read(head, end)
        _, end = uvarint_read(head, end)
        length, end = uvarint_read(head, end)
    except BadVarint as error:
        raise BadCid(f"invalid cid: {error}") from None
    if end + length > len(head):
        raise BadCid("invalid cid: length of the hash is wrong")
    return head[: end + length], at + end + length


def cid_whole(data: bytes) -> bytes:
    """Return a CID that fills its bytes.  Raises BadCid."""
    cid, end = cid_read(data, 0)
    if end != len(data):
        raise BadCid("invalid cid: length of the hash is wrong")
    return cid


def cid_parts(cid: bytes) -> Parts:
    """Return codec and multihash of a CID that was read."""
    if len(cid) == V0_LEN and cid[0] == SHA2_256:
        return Parts(DAG_PB, cid)
    codec, at = uvarint_read(cid, 1)
    return Parts(codec, cid[at:])


def multihash_read(data: bytes) -> Multihash:
    """Return hash function and digest of a CID's multihash."""
    code, at = uvarint_read(data, 0)
    _, at = uvarint_read(data, at)
    return Multihash(code, data[at:])


def multihash_write(multihash: Multihash) -> bytes:
    """Return a multihash as a CID has it."""
    return uvarint_write(multihash.code) + uvarint_write(len(multihash.digest)) + multihash.digest


def multihashes_split(data: bytes | mmap) -> Iterator[bytes]:
    """Yield multihashes that were written one behind the other.  Raises BadCid."""
    at = 0
    while at < len(data):
        head = data[at : at + 20]
        try:
            _, behind = uvarint_read(head, 0)
            length, behind = uvarint_read(head, behind)
        except BadVarint as error:
            raise BadCid(f"invalid multihash: {error}") from None
        end = at + behind + length
        if end > len(data):
            raise BadCid("invalid multihash: it is cut short")
        yield data[at:end]
        at = end


def text_read(text: str) -> bytes:
    """Return the bytes of a CID's text: base32, base36, base58 or hexadecimal.  Raises BadCid."""
    if not 2 <= len(text) <= 2 * MAX_CID_LEN:
        raise BadCid("invalid cid: cid too short" if len(text) < 2 else "invalid cid: too long")
    if len(text) == 46 and text.startswith("Qm"):
        return cid_whole(_base58(text))
    base, body = text[0], text[1:]
    try:
        if base in "bB":
            data = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
        elif base in "kK":
            zeros = len(body) - len(body.lstrip("0"))
            number = int(body, 36) if body.isalnum() else -1
            data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
        elif base in "fF":
            data = bytes.fromhex(body)
        elif base == "z":
            data = _base58(body)
        else:
            raise BadCid("invalid cid: selected encoding not supported")
    except BadCid:
        raise
    except (binascii.Error, ValueError, OverflowError):
        raise BadCid(f"invalid cid: {text[:80]!r} is not of its encoding") from None
    if data[:1] == b"\x12":
        raise BadCid("invalid cid: version 0 has no prefix of an encoding")
    return cid_whole(data)


def text_write(cid: bytes) -> str:
    """Return a CID's text: base58 of version 0, else base32."""
    if cid[0] == SHA2_256:
        return base58_encode(cid)
    return "b" + base64.b32encode(cid).decode().rstrip("=").lower()


def _base58(text: str) -> bytes:
    try:
        return base58_decode(text)
    except BadMultiaddr as error:
        raise BadCid(f"invalid cid: {error}") from None
