"""Addresses f0 to f4: their bytes, their text with checksum, and how each kind is made from a key.

In bytes an address is its protocol (0 to 4), then the payload; the network's letter is no part of it:

    f0  uvarint of the actor's number             f0<decimal>
    f1  blake2b-160 of the secp256k1 key          f1<base32 of payload and checksum>
    f2  blake2b-160 of what created the actor     f2<base32 of payload and checksum>
    f3  the 48 bytes of the BLS key               f3<base32 of payload and checksum>
    f4  uvarint of the namespace, subaddress      f4<decimal>f<base32 of subaddress and checksum>

The checksum covers protocol and payload; f0 has none.

Source: filecoin-project/go-address v1.2.0 address.go, constants.go.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.varint import BadVarint, uvarint_read, uvarint_write

ID: Final = 0
"""Protocol 0: the number of an actor."""
SECP256K1: Final = 1
"""Protocol 1: hash of a secp256k1 public key."""
ACTOR: Final = 2
"""Protocol 2: hash that names a created actor on every fork."""
BLS: Final = 3
"""Protocol 3: a BLS public key itself."""
DELEGATED: Final = 4
"""Protocol 4: a name given out by the actor that is the namespace."""

MAINNET_PREFIX: Final = "f"
"""First letter of an address's text on mainnet."""
TESTNET_PREFIX: Final = "t"
"""First letter on every other network; both are read everywhere, since the letter is no part of the
address."""
UNDEF_TEXT: Final = "<empty>"
"""How Go prints the undefined address."""

PAYLOAD_HASH_LEN: Final = 20
"""Bytes of the blake2b-160 hash in f1 and f2."""
BLS_PUBLIC_KEY_LEN: Final = 48
"""Bytes of a compressed G1 point."""
MAX_SUBADDRESS_LEN: Final = 54
"""Longest name inside a namespace of f4, in bytes."""
CHECKSUM_LEN: Final = 4
"""Bytes of the blake2b-32 checksum."""
MAX_TEXT_LEN: Final = 115
"""Longest text of any address, in characters: f4 with a namespace of 19 digits and 54 bytes of name."""
MAX_ID: Final = (1 << 63) - 1
"""Largest actor number: go-address refuses payloads above an int64."""
MAX_ID_DIGITS: Final = 19
"""Decimal digits of `MAX_ID`, the most of a namespace of f4 too."""
EAM_NAMESPACE: Final = 10
"""Namespace of Ethereum addresses (f410f...)."""
ETH_ADDRESS_LEN: Final = 20
"""Bytes of an Ethereum address."""

_UNDEF_PROTOCOL: Final = -1
"""Protocol of `UNDEF`; no address on the wire has it."""


class BadAddress(ValueError):
    """Text or bytes that are not an address; the message is go-address' own."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address.  Build it with the functions below, which check; str() prints it with prefix f."""

    protocol: int
    """0 to 4; -1 for the undefined address."""
    payload: bytes
    """What follows the protocol byte."""

    def __str__(self) -> str:
        """Return the text with prefix f; `address_format` writes another network's."""
        return address_format(self)

    def __bytes__(self) -> bytes:
        """Return the bytes that CBOR and hashes hold: protocol, then payload."""
        return address_to_bytes(self)

    def __repr__(self) -> str:
        """Return the text within `Address(...)`, which logs and test failures show."""
        return f"Address({address_format(self)})"

    @property
    def is_undef(self) -> bool:
        """Return whether this is the empty address that Go structs hold when nothing was set."""
        return self.protocol == _UNDEF_PROTOCOL

    @property
    def is_key(self) -> bool:
        """Return whether the address is made from a public key: f1, f3 and Ethereum's f410."""
        return self.protocol in (SECP256K1, BLS) or self.eth_address is not None

    @property
    def actor_id(self) -> int:
        """Return the actor ID.  Raises BadAddress unless the address is f0."""
        if self.protocol != ID:
            raise BadAddress("cannot get id from non id address")
        return uvarint_read(self.payload, 0)[0]

    @property
    def namespace(self) -> int:
        """Return the namespace of an f4 address.  Raises BadAddress for other kinds."""
        if self.protocol != DELEGATED:
            raise BadAddress("unknown address protocol")
        return uvarint_read(self.payload, 0)[0]

    @property
    def subaddress(self) -> bytes:
        """Return the name within the namespace of an f4 address.  Raises BadAddress for other kinds."""
        if self.protocol != DELEGATED:
            raise BadAddress("unknown address protocol")
        return self.payload[uvarint_read(self.payload, 0)[1] :]

    @property
    def eth_address(self) -> bytes | None:
        """Return the 20 bytes of an f410 address, None for every other address."""
        if self.protocol != DELEGATED or self.namespace != EAM_NAMESPACE:
            return None
        return self.subaddress if len(self.subaddress) == ETH_ADDRESS_LEN else None


UNDEF: Final = Address(_UNDEF_PROTOCOL, b"")
"""The undefined address: no bytes, prints as `<empty>`."""


def address_to_bytes(address: Address) -> bytes:
    """Return the protocol byte and the payload; nothing for the undefined address."""
    if address.protocol < 0:
        return b""
    return bytes((address.protocol,)) + address.payload


@functools.lru_cache(maxsize=8192)
def address_from_bytes(data: bytes) -> Address:
    """Read an address from its bytes.  Empty bytes are the undefined address.  Raises BadAddress."""
    if not data:
        return UNDEF
    if len(data) == 1:
        raise BadAddress("invalid address length")
    return _address_new(data[0], data[1:])


def address_format(address: Address, *, prefix: str = MAINNET_PREFIX) -> str:
    """Write an address as text with the given network prefix (`f` or `t`)."""
    if address.is_undef:
        return UNDEF_TEXT
    if address.protocol == ID:
        return f"{prefix}0{address.actor_id}"
    return prefix + _hashed_text(address)


@functools.lru_cache(maxsize=8192)
def _hashed_text(address: Address) -> str:
    """Return an f1 to f4 address behind its network's letter: protocol, base32 of payload and checksum."""
    checksum = _checksum(address_to_bytes(address))
    if address.protocol == DELEGATED:
        return f"4{address.namespace}f{_base32(address.subaddress + checksum)}"
    return f"{address.protocol}{_base32(address.payload + checksum)}"


@functools.lru_cache(maxsize=8192)
def address_parse(text: str) -> Address:
    """Read an address from text with either prefix.  Empty text is the undefined address.

    Raises BadAddress with Go's text.
    """
    if text in ("", UNDEF_TEXT):
        return UNDEF
    if not 3 <= len(text) <= MAX_TEXT_LEN:
        raise BadAddress("invalid address length")
    if text[0] not in (MAINNET_PREFIX, TESTNET_PREFIX):
        raise BadAddress("unknown address network")
    if text[1] not in "01234":
        raise BadAddress("unknown address protocol")
    protocol, raw = int(text[1]), text[2:]
    if protocol == ID:
        return _id_parse(raw)
    head = b""
    if protocol == DELEGATED:
        head, raw = _namespace_parse(raw)
    decoded = _base32_decode(raw)
    if len(decoded) < CHECKSUM_LEN:
        raise BadAddress("invalid address length")
    address = _address_new(protocol, head + decoded[:-CHECKSUM_LEN])
    if _checksum(address_to_bytes(address)) != decoded[-CHECKSUM_LEN:]:
        raise BadAddress("invalid address checksum")
    return address


def id_address(number: int) -> Address:
    """Return the f0 address of actor `number`.  Raises BadAddress outside 0 .. 2^63-1."""
    if not 0 <= number <= MAX_ID:
        raise BadAddress("invalid address payload")
    return Address(ID, uvarint_write(number))


def secp256k1_address(pubkey65: bytes) -> Address:
    """Return the f1 address of an uncompressed secp256k1 public key (04 X Y)."""
    return Address(SECP256K1, _payload_hash(pubkey65))


def actor_address(preimage: bytes) -> Address:
    """Return the f2 address made from `preimage`."""
    return Address(ACTOR, _payload_hash(preimage))


def bls_address(pubkey48: bytes) -> Address:
    """Return the f3 address of a compressed G1 public key."""
    return _address_new(BLS, bytes(pubkey48))


def delegated_address(namespace: int, subaddress: bytes) -> Address:
    """Return the f4 address of `subaddress` in `namespace` (an actor's number)."""
    if not 0 <= namespace <= MAX_ID:
        raise BadAddress("invalid address payload")
    return _address_new(DELEGATED, uvarint_write(namespace) + subaddress)


def eth_address(name: bytes) -> Address:
    """Return the address of a 20-byte Ethereum address: f0 for a masked actor id, f410 otherwise.

    Source: lotus chain/types/ethtypes/eth_types.go EthAddress.ToFilecoinAddress.
    """
    if len(name) != ETH_ADDRESS_LEN:
        raise BadAddress("invalid address length")
    if name[0] == 0xFF and not any(name[1:12]):
        return id_address(int.from_bytes(name[12:], "big"))
    return delegated_address(EAM_NAMESPACE, name)


def eth_masked_id(number: int) -> bytes:
    """Return the 20 bytes by which Ethereum tools name actor `number`."""
    return b"\xff" + bytes(11) + number.to_bytes(8, "big")


def created_actor_address(origin_key: Address, nonce: int, *, created_before: int) -> Address:
    """Return the f2 address of an actor that a message creates.

    `origin_key` is the key address of the message's sender, `nonce` the message's, `created_before` the
    number of actors that the same message has created already.  Source: lotus chain/vm/runtime.go
    NewActorAddress.
    """
    origin = address_to_bytes(origin_key)
    head = bytes((0x40 | len(origin),)) if len(origin) < 24 else bytes((0x58, len(origin)))
    return actor_address(head + origin + nonce.to_bytes(8, "big") + created_before.to_bytes(8, "big"))


def _id_parse(digits: str) -> Address:
    """Return the f0 address of decimal digits.  Raises BadAddress."""
    if len(digits) > MAX_ID_DIGITS:
        raise BadAddress("invalid address length")
    if not (digits.isascii() and digits.isdigit()) or int(digits) > MAX_ID:
        raise BadAddress("invalid address payload")
    return id_address(int(digits))


def _namespace_parse(raw: str) -> tuple[bytes, str]:
    """Return the namespace of an f4 address as uvarint, and the base32 behind its `f`.  Raises BadAddress."""
    digits, separator, rest = raw.partition("f")
    if not separator:
        raise BadAddress("invalid address payload")
    if len(digits) > MAX_ID_DIGITS:
        raise BadAddress("invalid address length")
    if not (digits.isascii() and digits.isdigit()) or int(digits) > MAX_ID:
        raise BadAddress("invalid address payload")
    return uvarint_write(int(digits)), rest


def _address_new(protocol: int, payload: bytes) -> Address:
    """Return the address of a protocol and payload.  Raises BadAddress with go-address' text.

    Every address that comes from outside passes here, by bytes or by text, so that no other form exists.
    """
    if protocol > DELEGATED:
        raise BadAddress("unknown address protocol")
    if not _is_payload(protocol, payload):
        raise BadAddress("invalid address payload")
    return Address(protocol, payload)


def _is_payload(protocol: int, payload: bytes) -> bool:
    """Return whether a payload has its protocol's length; f0 and f4 begin with a number up to MAX_ID."""
    if protocol in (SECP256K1, ACTOR):
        return len(payload) == PAYLOAD_HASH_LEN
    if protocol == BLS:
        return len(payload) == BLS_PUBLIC_KEY_LEN
    try:
        number, end = uvarint_read(payload, 0)
    except BadVarint:
        return False
    if number > MAX_ID:
        return False
    return end == len(payload) if protocol == ID else len(payload) - end <= MAX_SUBADDRESS_LEN


def _payload_hash(preimage: bytes) -> bytes:
    """Return the 20 bytes of blake2b by which f1 and f2 addresses name a key or an actor."""
    return hashlib.blake2b(preimage, digest_size=PAYLOAD_HASH_LEN).digest()


def _checksum(data: bytes) -> bytes:
    """Return the 4 bytes of blake2b that follow an address in its text."""
    return hashlib.blake2b(data, digest_size=CHECKSUM_LEN).digest()


def _base32(data: bytes) -> str:
    """Return lower-case base32 (RFC 4648) without padding, as go-address writes it."""
    return base64.b32encode(data).decode().rstrip("=").lower()


def _base32_decode(text: str) -> bytes:
    """Decode lower-case base32 without padding; trailing bits must be zero, as Go's re-encoding demands."""
    try:
        data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raise BadAddress("invalid encoding") from None
    if _base32(data) != text:
        raise BadAddress("invalid encoding")
    return data


SYSTEM_ACTOR: Final = id_address(0)
"""f00: sender of implicit messages."""
INIT_ACTOR: Final = id_address(1)
"""f01: creates actors and keeps the table of addresses."""
REWARD_ACTOR: Final = id_address(2)
"""f02: pays block rewards; gets every tip."""
CRON_ACTOR: Final = id_address(3)
"""f03: runs once per epoch."""
POWER_ACTOR: Final = id_address(4)
"""f04: storage power; creates miners."""
MARKET_ACTOR: Final = id_address(5)
"""f05: storage deals and their escrow."""
VERIFREG_ACTOR: Final = id_address(6)
"""f06: verified registry: data cap allocations and claims."""
DATACAP_ACTOR: Final = id_address(7)
"""f07: the data cap token."""
EAM_ACTOR: Final = id_address(10)
"""f010: Ethereum address manager."""
VERIFREG_ROOT: Final = id_address(80)
"""f080: root key holder of the verified registry."""
ZERO_ADDRESS: Final = bls_address(b"\xc0" + bytes(47))
"""The BLS point at infinity; never a valid receiver."""
