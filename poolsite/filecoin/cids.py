"""Content identifiers: of chain objects (dag-cbor), of actor code (raw), of sectors and pieces (commitments).

Always version 1.  The three forms made here differ in codec and hash only, so that each is a fixed prefix and
32 bytes:

    chain objects           dag-cbor                   blake2b-256        bafy2bz...
    comm_r                  fil-commitment-sealed      poseidon           bagboea4b5ab...
    comm_d, comm_p          fil-commitment-unsealed    sha2-256 trunc254  baga6ea4seaq...

Source: multiformats/cid; go-state-types abi/cid.go; filecoin-project/go-fil-commcid commcid.go.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from dataclasses import dataclass
from typing import Any, Final

from poolsite.filecoin.varint import BadVarint, uvarint_read

DAG_CBOR_PREFIX: Final = bytes.fromhex("0171a0e40220")
"""CIDv1, codec dag-cbor 0x71, multihash blake2b-256 (0xb220), 32 bytes."""
COMMR_PREFIX: Final = bytes.fromhex("0182e20381e80220")
"""CIDv1, codec fil-commitment-sealed 0xf102, multihash poseidon-bls12_381-a1-fc1 (0xb401), 32 bytes."""
COMMD_PREFIX: Final = bytes.fromhex("0181e203922020")
"""CIDv1, codec fil-commitment-unsealed 0xf101, multihash sha2-256-trunc254-padded (0x1012), 32 bytes."""

FIELD_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""Order of the scalar field of BLS12-381, in which Poseidon hashes lie."""
COMMITMENT_LEN: Final = 32
"""Bytes of a commitment."""
MAX_CID_LEN: Final = 512
"""Longest identifier that is read, in bytes; chain objects have 38."""


class BadCid(ValueError):
    """Text or bytes that are not a CID of the wanted kind."""


@dataclass(frozen=True, slots=True, order=True)
class Cid:
    """One content identifier in binary form; str() is the multibase text `baf...`."""

    data: bytes
    """Version, codec and multihash."""

    def __bytes__(self) -> bytes:
        """Return the binary form."""
        return self.data

    def __str__(self) -> str:
        """Return the multibase text."""
        return cid_format(self)

    def __repr__(self) -> str:
        """Return the text within `Cid(...)`, which logs and test failures show."""
        return f"Cid({cid_format(self)})"

    @property
    def codec(self) -> int:
        """Return the multicodec of the content."""
        return uvarint_read(self.data, 1)[0]

    @property
    def digest(self) -> bytes:
        """Return the hash inside the multihash."""
        return cid_digest(self)


def cid_of_cbor(data: bytes) -> Cid:
    """Return the CID of a dag-cbor object given by its bytes."""
    return Cid(DAG_CBOR_PREFIX + hashlib.blake2b(data, digest_size=32).digest())


def cid_of_digest(digest: bytes) -> Cid:
    """Return the CID of the dag-cbor object with this blake2b-256 hash."""
    return Cid(DAG_CBOR_PREFIX + digest)


def cid_from_bytes(data: bytes) -> Cid:
    """Read a binary CID that fills `data`.  Raises BadCid."""
    if not data or len(data) > MAX_CID_LEN:
        raise BadCid("invalid cid: cid too short" if not data else "invalid cid: too long")
    if data[:6] == DAG_CBOR_PREFIX and len(data) == 38:
        return Cid(data)
    if len(data) == 34 and data[:2] == b"\x12\x20":
        raise BadCid("invalid cid: version 0 is not used by Filecoin")
    try:
        version, at = uvarint_read(data, 0)
        if version != 1:
            raise BadCid(f"invalid cid: expected 1 as the cid version number, got: {version}")
        _, at = uvarint_read(data, at)
        _, at = uvarint_read(data, at)
        length, at = uvarint_read(data, at)
    except BadVarint as error:
        raise BadCid(f"invalid cid: {error}") from None
    if len(data) != at + length:
        raise BadCid("invalid cid: length of the hash is wrong")
    return Cid(data)


def cid_format(cid: Cid) -> str:
    """Return the multibase text: `b` and base32 in lower case without padding."""
    return "b" + base64.b32encode(cid.data).decode().rstrip("=").lower()


@functools.lru_cache(maxsize=8192)
def cid_parse(text: str) -> Cid:
    """Read multibase text.  Raises BadCid."""
    if len(text) < 2:
        raise BadCid("invalid cid: cid too short")
    if text[0] not in "bB" or len(text) > 2 * MAX_CID_LEN:
        raise BadCid("invalid cid: selected encoding not supported")
    body = text[1:]
    try:
        data = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        raise BadCid(f"invalid cid: illegal base32 data in {text[:80]!r}") from None
    if len(body) != (len(data) * 8 + 4) // 5:
        raise BadCid(f"invalid cid: illegal base32 data in {text[:80]!r}")
    return cid_from_bytes(data)


def cid_digest(cid: Cid) -> bytes:
    """Return the hash inside the CID's multihash."""
    data = cid.data
    _, at = uvarint_read(data, 0)
    _, at = uvarint_read(data, at)
    _, at = uvarint_read(data, at)
    length, at = uvarint_read(data, at)
    return data[at : at + length]


def commr_cid(comm_r: bytes) -> Cid:
    """Return the CID of a sealed sector's commitment (comm_r).

    Raises BadCid unless the 32 bytes are a field element, little-endian below `FIELD_ORDER`: Poseidon's
    results are, and a proof for anything else cannot hold.
    """
    return Cid(COMMR_PREFIX + _scalar(comm_r))


def commd_cid(comm_d: bytes) -> Cid:
    """Return the CID of unsealed data or of a piece (the same form).

    Raises BadCid unless it is such a hash.
    """
    return Cid(COMMD_PREFIX + _commitment(comm_d))


def cid_to_commr(cid: Cid) -> bytes:
    """Return the commitment inside a sealed CID.  Raises BadCid for another kind."""
    if not cid.data.startswith(COMMR_PREFIX):
        raise BadCid("sealed CID had wrong prefix")
    return _scalar(cid.data[len(COMMR_PREFIX) :])


def cid_to_commd(cid: Cid) -> bytes:
    """Return the commitment inside an unsealed or piece CID.  Raises BadCid for another kind."""
    if not cid.data.startswith(COMMD_PREFIX):
        raise BadCid("unsealed CID had wrong prefix")
    return _commitment(cid.data[len(COMMD_PREFIX) :])


def cid_to_json(cid: Cid | None) -> dict[str, str] | None:
    """Return the JSON form `{"/": "baf..."}`; null for none."""
    return None if cid is None else {"/": cid_format(cid)}


def cid_from_json(value: Any) -> Cid | None:
    """Read the JSON form.  Raises BadCid."""
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("/"), str):
        raise BadCid("invalid cid: expected an object with the member '/'")
    return cid_parse(value["/"])


def _scalar(data: bytes) -> bytes:
    """Return `data` if it is the little-endian form of a field element.  Raises BadCid.

    Unlike a truncated hash it may have bit 254 set.
    """
    if len(data) != COMMITMENT_LEN:
        raise BadCid("commitments must be 32 bytes long")
    if int.from_bytes(data, "little") >= FIELD_ORDER:
        raise BadCid("commitment is not a field element")
    return bytes(data)


def _commitment(data: bytes) -> bytes:
    """Return `data` if it is a truncated SHA-256 hash: little-endian, below 2^254.  Raises BadCid."""
    if len(data) != COMMITMENT_LEN:
        raise BadCid("commitments must be 32 bytes long")
    if data[31] & 0xC0:
        raise BadCid("commitment is not a truncated hash: its two top bits must be zero")
    return bytes(data)
