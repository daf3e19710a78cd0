"""Messages: calls that an account signs, and the receipts they leave.

Source: lotus chain/types/message.go, signedmessage.go, message_receipt.go.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

from poolsite.filecoin.address import UNDEF, ZERO_ADDRESS, Address
from poolsite.filecoin.amounts import TOTAL_FILECOIN, ZERO, AttoFil
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import Cid, cid_of_cbor, cid_to_json
from poolsite.filecoin.codec import (
    Field,
    Int64,
    Struct,
    Uint64,
    cbor_tuple,
    from_cbor,
    from_json,
    to_cbor,
    to_json,
)
from poolsite.filecoin.kinds import BYTES, CID, INT64, nullable
from poolsite.filecoin.signature import SIGNATURE, Signature
from poolsite.filecoin.sigtypes import SIG_BLS

MESSAGE_VERSION: Final = 0
"""The only version of messages."""
BLOCK_GAS_LIMIT: Final = 10_000_000_000
"""Gas that the messages of one block may name together."""
METHOD_SEND: Final = 0
"""Method number of a plain transfer."""
MAX_MESSAGE_LEN: Final = 64 << 10
"""Largest message that the message pool takes, in bytes of its signed form."""


class MessageRefused(ValueError):
    """A message that no block may carry; the text is lotus'."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Message:
    """A call from one actor to another, with what it may cost."""

    version: Uint64 = MESSAGE_VERSION
    """Always 0."""
    to: Address = UNDEF
    """The receiver."""
    from_: Address = UNDEF
    """The sender, who signs and pays."""
    nonce: Uint64 = 0
    """Number of the message among the sender's, from 0 without gaps."""
    value: AttoFil = ZERO
    """Amount that goes to the receiver."""
    gas_limit: Int64 = 0
    """Most gas that execution may use."""
    gas_fee_cap: AttoFil = ZERO
    """Most attoFIL per unit of gas, base fee and premium together."""
    gas_premium: AttoFil = ZERO
    """attoFIL per unit of gas limit for the miner."""
    method: Uint64 = METHOD_SEND
    """Number of the receiver's method."""
    params: bytes = b""
    """The method's parameters in CBOR."""

    @property
    def cid(self) -> Cid:
        """The identity of the unsigned message."""
        return _message_cid(self)

    @property
    def required_funds(self) -> AttoFil:
        """Most that the gas can cost; the value comes on top.  Source: Message.RequiredFunds."""
        return AttoFil(self.gas_fee_cap * self.gas_limit)


@functools.lru_cache(maxsize=512)
def _message_cid(message: Message) -> Cid:
    # A message on its way is asked for it by whoever signs, records, stores and publishes it.
    return cid_of_cbor(to_cbor(message))


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A message with its sender's signature."""

    message: Message
    """What was signed."""
    signature: Signature
    """Signature over the bytes of the unsigned message's CID (delegated: over an Ethereum transaction)."""

    @property
    def cid(self) -> Cid:
        """The identity on chain: of the unsigned message for BLS, of the whole for the other types."""
        if self.signature.type == SIG_BLS:
            return self.message.cid
        return cid_of_cbor(to_cbor(self))

    @property
    def chain_length(self) -> int:
        """Bytes that the message takes on chain and pays for: BLS signatures are aggregated away."""
        if self.signature.type == SIG_BLS:
            return len(to_cbor(self.message))
        return len(to_cbor(self))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What executing a message gave."""

    exit_code: int
    """0 is success; names in `actors.exitcodes`."""
    return_: bytes
    """The method's return value in CBOR."""
    gas_used: int
    """Gas that execution used."""
    events_root: Cid | None = None
    """Root of the events; null where none were emitted and in receipts of version 0."""
    version: int = 1
    """0: three fields (before network version 18); 1: four."""


_RECEIPT_V0: Final = Struct(
    Receipt,
    Field("exit_code", "ExitCode", INT64),
    Field("return_", "Return", BYTES),
    Field("gas_used", "GasUsed", INT64),
    Field("events_root", "EventsRoot", nullable(CID), in_cbor=False),
    is_default=False,
)
_RECEIPT_V1: Final = Struct(
    Receipt,
    Field("exit_code", "ExitCode", INT64),
    Field("return_", "Return", BYTES),
    Field("gas_used", "GasUsed", INT64),
    Field("events_root", "EventsRoot", nullable(CID)),
)


def message_to_cbor(message: Message) -> bytes:
    """The bytes whose CID identifies the message."""
    return to_cbor(message)


def message_from_cbor(data: bytes) -> Message:
    """Read a message.  Raises BadCbor."""
    message = from_cbor(Message, data)
    if message.version != MESSAGE_VERSION:
        raise BadCbor(f"expected message version to be {MESSAGE_VERSION}, got {message.version}")
    return message


def message_to_json(message: Message) -> dict[str, Any]:
    """The lotus object, with the output-only member CID."""
    result: dict[str, Any] = to_json(message)
    result["CID"] = cid_to_json(message.cid)
    return result


def message_from_json(value: Any) -> Message:
    """Read the lotus or venus object; its member CID is ignored.  Raises BadField."""
    return from_json(Message, value)


def signed_message_to_cbor(signed: SignedMessage) -> bytes:
    """Message and signature as one array."""
    return to_cbor(signed)


def signed_message_from_cbor(data: bytes) -> SignedMessage:
    """Read a signed message.  Raises BadCbor."""
    return from_cbor(SignedMessage, data)


def signed_message_to_json(signed: SignedMessage) -> dict[str, Any]:
    """The lotus object with members Message, Signature, CID."""
    return {
        "Message": message_to_json(signed.message),
        "Signature": SIGNATURE.to_json(signed.signature),
        "CID": cid_to_json(signed.cid),
    }


def signed_message_from_json(value: Any) -> SignedMessage:
    """Read the lotus or venus object.  Raises BadField."""
    return from_json(SignedMessage, value)


def receipt_to_cbor(receipt: Receipt) -> bytes:
    """Three fields for version 0, four for version 1."""
    return (_RECEIPT_V1 if receipt.version else _RECEIPT_V0).encode(receipt)


def receipt_from_cbor(data: bytes) -> Receipt:
    """Read a receipt of either version.  Raises BadCbor."""
    if data[:1] == b"\x83":
        old = _RECEIPT_V0.decode(data)
        return Receipt(old.exit_code, old.return_, old.gas_used, None, version=0)
    return _RECEIPT_V1.decode(data)


def receipt_to_json(receipt: Receipt) -> dict[str, Any]:
    """The lotus object: ExitCode, Return, GasUsed, EventsRoot."""
    return _RECEIPT_V1.to_json(receipt)


def receipt_from_json(value: Any) -> Receipt:
    """Read the lotus object.  Raises BadField."""
    return _RECEIPT_V1.from_json(value)


def message_check_for_inclusion(message: Message, *, min_gas: int = 0) -> None:
    """Check what a block demands of a message.  Raises MessageRefused with lotus' text.

    Source: lotus chain/types/message.go ValidForBlockInclusion, in its order.
    """
    if message.version != MESSAGE_VERSION:
        raise MessageRefused("'Version' unsupported")
    if message.to.is_undef:
        raise MessageRefused("'To' address cannot be empty")
    if message.to == ZERO_ADDRESS:
        raise MessageRefused("invalid 'To' address")
    if message.from_.is_undef:
        raise MessageRefused("'From' address cannot be empty")
    if message.value < 0:
        raise MessageRefused("'Value' field cannot be negative")
    if message.value > TOTAL_FILECOIN:
        raise MessageRefused("'Value' field cannot be greater than total filecoin supply")
    _check_gas(message, min_gas)


def _check_gas(message: Message, min_gas: int) -> None:
    if message.gas_fee_cap < 0:
        raise MessageRefused("'GasFeeCap' field cannot be negative")
    if message.gas_premium < 0:
        raise MessageRefused("'GasPremium' field cannot be negative")
    if message.gas_premium > message.gas_fee_cap:
        raise MessageRefused("'GasFeeCap' less than 'GasPremium'")
    if message.gas_limit <= 0:
        raise MessageRefused(f"'GasLimit' field {message.gas_limit} must be positive")
    if message.gas_limit > BLOCK_GAS_LIMIT:
        raise MessageRefused(
            "'GasLimit' field cannot be greater than a block's gas limit "
            f"({message.gas_limit} > {BLOCK_GAS_LIMIT})"
        )
    if message.gas_limit < min_gas:
        raise MessageRefused(
            "'GasLimit' field cannot be less than the cost of storing a message on chain "
            f"{message.gas_limit} < {min_gas}"
        )
