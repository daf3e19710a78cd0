"""Signatures: their CBOR and JSON forms, their verification, and the aggregate of a block's BLS signatures.

Source: go-state-types crypto/signature.go; lotus lib/sigs/{secp,bls,delegated}/init.go,
chain/consensus/utils.go; filecoin-ffi bls.go.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from blspy import BasicSchemeMPL, G1Element, G2Element
from coincurve import PublicKey

from poolsite.filecoin import cbor
from poolsite.filecoin.address import (
    BLS,
    DELEGATED,
    ID,
    SECP256K1,
    Address,
    secp256k1_address,
)
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import Field, Struct, kind_register
from poolsite.filecoin.keccak import keccak256
from poolsite.filecoin.kinds import BYTES, UINT64, Kind, nullable
from poolsite.filecoin.sigtypes import (
    BLS_SIGNATURE_LEN,
    MAX_SIGNATURE_LEN,
    SECP256K1_SIGNATURE_LEN,
    SIG_BLS,
    SIG_DELEGATED,
    SIG_SECP256K1,
)

EMPTY_BLS_AGGREGATE: Final = b"\xc0" + bytes(95)
"""Aggregate of no signatures: the compressed point at infinity of G2."""


class BadSignature(ValueError):
    """A signature that is malformed or not the key's; the text is lotus' where it has one."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature with its type."""

    type: int
    """1 secp256k1, 2 BLS, 3 delegated (secp256k1 over an Ethereum transaction)."""
    data: bytes
    """65 bytes R S V for types 1 and 3, 96 bytes (a compressed point of G2) for type 2."""

    def __bytes__(self) -> bytes:
        """Return the type byte and the data, as CBOR's byte string holds them."""
        return bytes((self.type,)) + self.data


_JSON: Final = Struct(Signature, Field("type", "Type", UINT64), Field("data", "Data", BYTES))
"""How a signature is written in JSON, `Type` and `Data`; its CBOR form is no array."""


def signature_encode(signature: Signature) -> bytes:
    """Return the CBOR form: one byte string of the type byte and the data."""
    return cbor.bytes_write(bytes((signature.type,)) + signature.data)


def signature_decode(data: bytes, at: int) -> tuple[Signature, int]:
    """Read the CBOR form at a position.  Raises BadCbor."""
    body, end = cbor.bytes_read(data, at)
    if len(body) > MAX_SIGNATURE_LEN:
        raise BadCbor(f"string too long: {len(body)}")
    if not body:
        raise BadCbor("string empty")
    if body[0] not in (SIG_SECP256K1, SIG_BLS, SIG_DELEGATED):
        raise BadCbor(f"invalid signature type in cbor input: {body[0]}")
    return Signature(body[0], body[1:]), end


signature_to_json = _JSON.to_json
"""Return the JSON object of a signature."""
signature_from_json = _JSON.from_json
"""Read that object.  Raises BadField."""

SIGNATURE: Final = Kind(
    "signature", signature_encode, signature_decode, signature_to_json, signature_from_json
)
"""How a signature is read and written as a field."""
kind_register(Signature, SIGNATURE)
SIGNATURE_OR_NULL: Final = nullable(SIGNATURE)
"""The same for a field that may be null."""


def signature_verify(signature: Signature, address: Address, payload: bytes) -> None:
    """Raise BadSignature unless the key of `address` signed `payload`.

    For messages, `payload` is the bytes of the unsigned message's CID, for delegated ones the Ethereum
    transaction's signing bytes (`ethereum.signing_bytes`).  Source: lotus lib/sigs/sigs.go Verify.
    """
    if address.protocol == ID:
        raise BadSignature("must resolve ID addresses before using them to verify a signature")
    if signature.type == SIG_SECP256K1:
        _secp256k1_verify(signature.data, address, payload)
    elif signature.type == SIG_BLS:
        _bls_verify(signature.data, address, payload)
    elif signature.type == SIG_DELEGATED:
        _delegated_verify(signature.data, address, payload)
    else:
        raise BadSignature(f"cannot verify signature of unsupported type: {signature.type}")


def secp256k1_recover(data: bytes, digest: bytes) -> bytes:
    """Return the uncompressed public key that made the signature R S V of `digest`.  Raises BadSignature."""
    if len(data) != SECP256K1_SIGNATURE_LEN or data[64] > 3:
        raise BadSignature("secp256k1/secec: invalid compact signature")
    try:
        return PublicKey.from_signature_and_message(data, digest, hasher=None).format(compressed=False)
    except Exception as error:
        raise BadSignature("secp256k1/secec: invalid compact signature") from error


def bls_verify(public_key: bytes, payload: bytes, data: bytes) -> None:
    """Raise BadSignature unless the raw public key signed `payload`."""
    if len(data) != BLS_SIGNATURE_LEN:
        raise BadSignature("bls signature incorrectly sized")
    if not BasicSchemeMPL.verify(_g1(public_key), payload, _g2(data)):
        raise BadSignature("bls signature failed to verify")


def bls_aggregate(signatures: Sequence[bytes]) -> Signature:
    """Return the aggregate of BLS signatures, as a block carries it.

    Raises BadSignature on a malformed one.
    """
    if not signatures:
        return Signature(SIG_BLS, EMPTY_BLS_AGGREGATE)
    return Signature(SIG_BLS, bytes(BasicSchemeMPL.aggregate([_g2(data) for data in signatures])))


def bls_aggregate_verify(signature: Signature, senders: Sequence[Address], payloads: Sequence[bytes]) -> None:
    """Raise BadSignature unless the aggregate is that of the senders' signatures of the payloads, pairwise.

    Also on equal payloads, which the scheme does not allow.  Source: lotus chain/consensus/utils.go
    VerifyBlsAggregate.
    """
    if signature.type != SIG_BLS or len(signature.data) != BLS_SIGNATURE_LEN:
        raise BadSignature("bls aggregate signature incorrectly sized")
    if any(sender.protocol != BLS for sender in senders) or len(senders) != len(payloads):
        raise BadSignature("bls aggregate has a sender without a BLS key")
    if not payloads:
        if signature.data != EMPTY_BLS_AGGREGATE:
            raise BadSignature("bls aggregate signature was invalid")
        return
    keys = [_g1(sender.payload) for sender in senders]
    if not BasicSchemeMPL.aggregate_verify(keys, list(payloads), _g2(signature.data)):
        raise BadSignature("bls aggregate signature was invalid")


def _secp256k1_verify(data: bytes, address: Address, payload: bytes) -> None:
    """Raise BadSignature unless the key that signed blake2b-256 of the payload has this f1 address."""
    if address.protocol != SECP256K1:
        raise BadSignature("signature did not match")
    digest = hashlib.blake2b(payload, digest_size=32).digest()
    if secp256k1_address(secp256k1_recover(data, digest)) != address:
        raise BadSignature("signature did not match")


def _delegated_verify(data: bytes, address: Address, payload: bytes) -> None:
    """Raise BadSignature unless the key that signed keccak-256 of the payload has this f410 address."""
    if address.protocol != DELEGATED or address.eth_address is None:
        raise BadSignature("eth signature is only valid for delegated addresses")
    public_key = secp256k1_recover(data, keccak256(payload))
    if keccak256(public_key[1:])[12:] != address.eth_address:
        raise BadSignature("signature did not match")


def _bls_verify(data: bytes, address: Address, payload: bytes) -> None:
    """Raise BadSignature unless the key that is this f3 address signed the payload itself."""
    if len(data) != BLS_SIGNATURE_LEN:
        raise BadSignature("bls signature incorrectly sized")
    if address.protocol != BLS:
        raise BadSignature("bls signature failed to verify")
    bls_verify(address.payload, payload, data)


@functools.lru_cache(maxsize=4096)
def _g1(public_key: bytes) -> G1Element:
    """Return a public key as a point; kept, since its subgroup check takes 0.2 ms."""
    try:
        element = G1Element.from_bytes(public_key)
    except (ValueError, RuntimeError) as error:
        raise BadSignature(f"bad BLS public key: {error}") from None
    # With this key the signature at infinity would hold for every payload.
    if bytes(element) == bytes(G1Element()):
        raise BadSignature("bad BLS public key: point at infinity")
    return element


@functools.lru_cache(maxsize=4096)
def _g2(data: bytes) -> G2Element:
    """Return a signature as a point; kept, since a block's maker and its checker read the same ones."""
    try:
        return G2Element.from_bytes(data)
    except (ValueError, RuntimeError) as error:
        raise BadSignature(f"bad BLS signature: {error}") from None
