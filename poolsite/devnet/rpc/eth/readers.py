"""Readers of the parameters of eth_*: hex numbers, bytes, names, blocks, calls, filters.

Source: lotus chain/types/ethtypes/eth_types.go UnmarshalJSON of each type; Go's strconv and encoding/hex.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.params import MAX_UINT64
from poolsite.filecoin.address import ETH_ADDRESS_LEN, Address, eth_address
from poolsite.wire.jsonrpc.parameters import BadParam

HASH_LEN: Final = 32
TAGS: Final = ("earliest", "pending", "latest", "finalized", "safe")
"""Blocks that have names."""
_DIGITS: Final = {10: frozenset("0123456789"), 16: frozenset("0123456789abcdefABCDEF")}


@dataclass(frozen=True, slots=True)
class BlockName:
    """A block by its tag, its number or its hash; by none where the caller sent an empty object."""

    tag: str = ""
    number: int | None = None
    hash: bytes | None = None
    canonical: bool = False
    """Whether it must be on the best chain."""


@dataclass(frozen=True, slots=True)
class EthCall:
    """A call that is tried, not sent."""

    sender: bytes | None
    to: bytes | None
    value: int
    data: bytes


@dataclass(frozen=True, slots=True)
class FilterSpec:
    """Which logs are asked for."""

    from_block: str | None
    to_block: str | None
    block_hash: bytes | None
    addresses: tuple[bytes, ...]
    topics: tuple[tuple[bytes, ...], ...]


def go_hex(text: str) -> bytes:
    """Decode hex of an even length.  Raises BadParam with Go's words."""
    for sign in text:
        if sign not in _DIGITS[16]:
            raise BadParam(f"encoding/hex: invalid byte: U+{ord(sign):04X} '{sign}'")
    return bytes.fromhex(text)


def go_uint(text: str, base: int) -> int:
    """Return what strconv.ParseUint reads.  Raises BadParam with its words."""
    if not text or not _DIGITS[base].issuperset(text):
        raise BadParam(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    number = int(text, base)
    if number > MAX_UINT64:
        raise BadParam(f'strconv.ParseUint: parsing "{text}": value out of range')
    return number


def number_text(text: str) -> int:
    """Return a number in decimal, or in hex behind 0x.  Raises BadParam."""
    return go_uint(text[2:], 16) if text.startswith("0x") else go_uint(text, 10)


def _text(value: Any) -> str:
    """Return a string; null is the empty one, as in Go."""
    return "" if value is None else str(p.TEXT.decode(value))


def _sized(value: Any, length: int) -> bytes:
    text = _text(value)
    if text[:2] in ("0x", "0X"):
        text = text[2:]
    if len(text) % 2:
        text = f"0{text}"
    if len(text) != 2 * length:
        raise BadParam(f"expected hex string length sans prefix {2 * length}, got {len(text)}")
    try:
        return go_hex(text)
    except BadParam as error:
        raise BadParam(f"cannot parse hex value: {error}") from None


def name_read(value: Any) -> bytes:
    """Return the 20 bytes of an Ethereum address."""
    return _sized(value, ETH_ADDRESS_LEN)


def hash_read(value: Any) -> bytes:
    """Return the 32 bytes of a block's or transaction's hash."""
    return _sized(value, HASH_LEN)


def bytes_read(value: Any) -> bytes:
    """Bytes in hex, of any length."""
    text = _text(value).replace("0x", "")
    return go_hex(f"0{text}" if len(text) % 2 else text)


def uint_read(value: Any) -> int:
    """Return a number in a string, or a number."""
    if isinstance(value, str):
        return number_text(value)
    if value is None:
        return go_uint("", 10)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_UINT64:
        return value
    raise BadParam(f"cannot interpret {p.go_json(value)} as a hex-encoded uint64, or a number")


def big_read(value: Any) -> int:
    """Return a number in hex; what is no hex counts as 0, as in Go."""
    text = _text(value).replace("0x", "")
    return int(text, 16) if text and _DIGITS[16].issuperset(text) else 0


def _address_read(value: Any) -> Address:
    return eth_address(name_read(value))


def block_name_read(value: Any) -> BlockName:
    """Return a block as EIP-1898 names it."""
    if value is None:
        return BlockName()
    if isinstance(value, dict):
        number, name = value.get("blockNumber"), value.get("blockHash")
        if number is not None and name is not None:
            raise BadParam("cannot specify both blockNumber and blockHash")
        return BlockName(
            number=None if number is None else uint_read(number),
            hash=None if name is None else hash_read(name),
            canonical=p.BOOL.decode(value.get("requireCanonical")),
        )
    text = _text(value)
    if text in TAGS:
        return BlockName(tag=text)
    if text.startswith("0x") and len(text) == 2 + 2 * HASH_LEN:
        return BlockName(hash=hash_read(text))
    try:
        return BlockName(number=number_text(text))
    except BadParam:
        raise BadParam("invalid block param") from None


def call_read(value: Any) -> EthCall:
    """Return a call; `input` goes before `data`."""
    fields = _object(value, "ethtypes.EthCallDecode")
    sender, to = fields.get("from"), fields.get("to")
    data = fields.get("data") if fields.get("input") is None else fields["input"]
    uint_read(fields.get("gas") or 0)  # read, for its refusals, and not used: a call has all the gas there is
    return EthCall(
        sender=None if sender is None else name_read(sender),
        to=None if to is None else name_read(to),
        value=big_read(fields.get("value")),
        data=bytes_read(data),
    )


def _object(value: Any, go_type: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadParam(f"json: cannot unmarshal {p.go_kind(value)} into Go value of type {go_type}")
    return value


def _list_or_one(value: Any, read: Any) -> tuple[bytes, ...]:
    """Return a list, or one item that stands for a list; null is none."""
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(read(item) for item in value)
    return (read(value),)


def filter_read(value: Any) -> FilterSpec:
    """Return which logs are asked for."""
    fields = _object(value, "ethtypes.EthFilterSpec")
    topics = fields.get("topics")
    if topics is not None and not isinstance(topics, list):
        raise BadParam(
            f"json: cannot unmarshal {p.go_kind(topics)} into Go struct field EthFilterSpec.topics of type "
            "ethtypes.EthTopicSpec"
        )
    begin, end, name = fields.get("fromBlock"), fields.get("toBlock"), fields.get("blockHash")
    return FilterSpec(
        from_block=None if begin is None else _text(begin),
        to_block=None if end is None else _text(end),
        block_hash=None if name is None else hash_read(name),
        addresses=_list_or_one(fields.get("address"), name_read),
        topics=tuple(_list_or_one(topic, hash_read) for topic in topics or ()),
    )


ADDRESS: Final = p.decoded("ethtypes.EthAddress", _address_read)
HASH: Final = p.decoded("ethtypes.EthHash", hash_read)
BYTES: Final = p.decoded("ethtypes.EthBytes", bytes_read)
BLOCK: Final = p.decoded("ethtypes.EthBlockNumberOrHash", block_name_read)
CALL: Final = p.decoded("ethtypes.EthCall", call_read)
FILTER: Final = p.decoded("*ethtypes.EthFilterSpec", filter_read)
FILTER_ID: Final = p.decoded("ethtypes.EthFilterID", hash_read)
SUBSCRIPTION_ID: Final = p.decoded("ethtypes.EthSubscriptionID", hash_read)
