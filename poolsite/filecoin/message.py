"""Messages: calls that an account signs, and the receipts of their execution.

Source: lotus chain/types/message.go, signedmessage.go, message_receipt.go; chain/messagepool/messagepool.go
(MaxMessageSize).
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
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.kinds import BYTES, CID, INT64, nullable
from poolsite.filecoin.signature import SIGNATURE, Signature
from poolsite.filecoin.sigtypes import SIG_BLS

MESSAGE_VERSION: Final = 0
"""The only version of messages there is."""
METHOD_MAX: Final = (1 << 63) - 1
"""Largest method number that a column holds; FRC-42 numbers have 32 bits."""
METHOD_SEND: Final = 0
"""Method number of a plain transfer."""
MAX_MESSAGE_LEN: Final = 64 << 10
"""Highest length of a signed message that the message pool accepts, bytes."""


class MessageRefused(ValueError):
    """A message that no block may include; the text is lotus'."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Message:
    """A call from an account to an actor, and what it may cost; unsigned."""

    version: Uint64 = MESSAGE_VERSION
    """MESSAGE_VERSION; nodes refuse any other."""
    to: Address = UNDEF
    """Receiver, in any form."""
    from_: Address = UNDEF
    """Sender, who signs and pays; as f1, f3 or f4, since a signature is checked by the key."""
    nonce: Uint64 = 0
    """Number of messages that the sender sent before; messages execute in this order, without gaps."""
    value: AttoFil = ZERO
    """attoFIL from sender to receiver."""
    gas_limit: Int64 = 0
    """Highest gas that execution may use; what remains unused is refunded, less the over-estimation burn."""
    gas_fee_cap: AttoFil = ZERO
    """Highest attoFIL per gas, for base fee and premium together."""
    gas_premium: AttoFil = ZERO
    """attoFIL per gas of the limit for the miner that includes it; cut where the fee cap leaves less."""
    method: Uint64 = METHOD_SEND
    """Method number at the receiver."""
    params: bytes = b""
    """The method's parameters in CBOR; empty for none."""

    @property
    def cid(self) -> Cid:
        """Return the CID of the unsigned message, which is what gets signed."""
        return _message_cid(self)

    @property
    def required_funds(self) -> AttoFil:
        """Return the highest cost of its gas, attoFIL, without the value.  Source: Message.RequiredFunds."""
        return AttoFil(self.gas_fee_cap * self.gas_limit)


@functools.lru_cache(maxsize=512)
def _message_cid(message: Message) -> Cid:
    """Return a message's CID; remembered, as signing, recording, storing and publishing each ask for it."""
    return cid_of_cbor(to_cbor(message))


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A message with its sender's signature."""

    message: Message
    """What is signed and executed."""
    signature: Signature
    """Over the bytes of the unsigned message's CID; a delegated one over the Ethereum transaction's bytes."""

    @property
    def cid(self) -> Cid:
        """Return the CID on chain: the unsigned message's for BLS, that of the whole otherwise.

        A block carries BLS messages without their signatures, so their CIDs cannot cover them.
        """
        if self.signature.type == SIG_BLS:
            return self.message.cid
        return cid_of_cbor(to_cbor(self))

    @property
    def chain_length(self) -> int:
        """Return the bytes that the message takes on chain and pays gas for.

        Without the signature for BLS, as a block aggregates it.
        """
        if self.signature.type == SIG_BLS:
            return len(to_cbor(self.message))
        return len(to_cbor(self))


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of executing a message."""

    exit_code: int
    """0 is success; `actors.exitcodes` names the others."""
    return_: bytes
    """The method's return value in CBOR; empty for none."""
    gas_used: int
    """Gas that execution used, of at most the limit."""
    events_root: Cid | None = None
    """AMT root of the emitted events; null without events, and always in version 0."""
    version: int = 1
    """0: three fields, before network version 18 (FIP-0049); 1: four, with the events' root."""


_RECEIPT_V0: Final = Struct(
    Receipt,
    Field("exit_code", "ExitCode", INT64),
    Field("return_", "Return", BYTES),
    Field("gas_used", "GasUsed", INT64),
    Field("events_root", "EventsRoot", nullable(CID), in_cbor=False),
    is_default=False,
)
"""How receipts from before network version 18 are written: without events in CBOR."""
_RECEIPT_V1: Final = Struct(
    Receipt,
    Field("exit_code", "ExitCode", INT64),
    Field("return_", "Return", BYTES),
    Field("gas_used", "GasUsed", INT64),
    Field("events_root", "EventsRoot", nullable(CID)),
)
"""How receipts are written since, and all of them in JSON."""


def message_to_cbor(message: Message) -> bytes:
    """Return the CBOR whose CID identifies the message."""
    return to_cbor(message)


def message_from_cbor(data: bytes) -> Message:
    """Read a message.  Raises BadCbor."""
    message = from_cbor(Message, data)
    if message.version != MESSAGE_VERSION:
        raise BadCbor(f"expected message version to be {MESSAGE_VERSION}, got {message.version}")
    return message


def message_to_json(message: Message) -> dict[str, Any]:
    """Return lotus' JSON object, with the additional member CID."""
    result: dict[str, Any] = to_json(message)
    result["CID"] = cid_to_json(message.cid)
    return result


def message_from_json(value: Any) -> Message:
    """Read lotus' or venus' JSON object; a member CID is ignored.  Raises BadField."""
    return from_json(Message, value)


def signed_message_to_cbor(signed: SignedMessage) -> bytes:
    """Return message and signature as one CBOR array."""
    return to_cbor(signed)


def signed_message_from_cbor(data: bytes) -> SignedMessage:
    """Read a signed message.  Raises BadCbor."""
    return from_cbor(SignedMessage, data)


def signed_message_to_json(signed: SignedMessage) -> dict[str, Any]:
    """Return lotus' JSON object with members Message, Signature and CID."""
    return {
        "Message": message_to_json(signed.message),
        "Signature": SIGNATURE.to_json(signed.signature),
        "CID": cid_to_json(signed.cid),
    }


def signed_message_from_json(value: Any) -> SignedMessage:
    """Read lotus' or venus' JSON object.  Raises BadField."""
    return from_json(SignedMessage, value)


def receipt_to_cbor(receipt: Receipt) -> bytes:
    """Return the CBOR array: three fields for version 0, four for version 1."""
    return (_RECEIPT_V1 if receipt.version else _RECEIPT_V0).encode(receipt)


def receipt_from_cbor(data: bytes) -> Receipt:
    """Read a receipt of either version.  Raises BadCbor."""
    if data[:1] == b"\x83":
        old = _RECEIPT_V0.decode(data)
        return Receipt(old.exit_code, old.return_, old.gas_used, None, version=0)
    return _RECEIPT_V1.decode(data)


def receipt_to_json(receipt: Receipt) -> dict[str, Any]:
    """Return lotus' JSON object with ExitCode, Return, GasUsed and EventsRoot."""
    return _RECEIPT_V1.to_json(receipt)


def receipt_from_json(value: Any) -> Receipt:
    """Read lotus' JSON object.  Raises BadField."""
    return _RECEIPT_V1.from_json(value)


def message_check_for_inclusion(message: Message, *, min_gas: int = 0) -> None:
    """Raise MessageRefused with lotus' text if a block may not include the message.

    `min_gas` is the gas for storing it on chain.  Source: lotus chain/types/message.go
    ValidForBlockInclusion, for network versions from 18 on.
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
    """Raise MessageRefused, in lotus' words, unless limit and prices fit each other and the block."""
    if message.gas_fee_cap < 0:
        raise MessageRefused("'GasFeeCap' field cannot be negative")
    if message.gas_premium < 0:
        raise MessageRefused("'GasPremium' field cannot be negative")
    if message.gas_premium > message.gas_fee_cap:
        raise MessageRefused("'GasFeeCap' less than 'GasPremium'")
    # lotus checks the next two in the other order; no limit fails both.
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
