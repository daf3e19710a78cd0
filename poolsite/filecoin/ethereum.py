"""Ethereum transactions of delegated (f410) senders: what they sign, and their hash.

A message of such a sender is an EIP-1559 transaction in Filecoin's dress; its signature is over the
transaction.  Source: lotus chain/types/ethtypes/eth_1559_transactions.go, eth_transactions.go
(EthTransactionFromSignedFilecoinMessage); EIP-1559; Ethereum yellow paper appendix B (RLP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.filecoin.address import DELEGATED, EAM_ACTOR, ID, Address, eth_masked_id
from poolsite.filecoin.cbor import BadCbor, bytes_read
from poolsite.filecoin.keccak import keccak256

if TYPE_CHECKING:
    from poolsite.filecoin.message import Message
    from poolsite.filecoin.signature import Signature

METHOD_INVOKE_EVM: Final = 3_844_450_837
"""Method number of InvokeContract, FRC-42 hash of `InvokeEVM`."""
METHOD_CREATE_EXTERNAL: Final = 4
"""Method of f010 that deploys a contract."""
EIP1559_TYPE: Final = b"\x02"
"""First byte of the transaction's envelope."""


class BadTransaction(ValueError):
    """A message that no Ethereum transaction can stand for."""


def rlp_encode(item: object) -> bytes:
    """RLP of bytes, numbers of at least 0, and lists of these."""
    if isinstance(item, list | tuple):
        body = b"".join(map(rlp_encode, item))
        return _rlp_head(0xC0, len(body)) + body
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if not isinstance(item, bytes):
        raise BadTransaction(f"no RLP form for {type(item).__name__}")
    if len(item) == 1 and item[0] < 0x80:
        return item
    return _rlp_head(0x80, len(item)) + item


def _rlp_head(base: int, length: int) -> bytes:
    if length < 56:
        return bytes((base + length,))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((base + 55 + len(size),)) + size


def signing_bytes(message: Message, *, chain_id: int) -> bytes:
    """The unsigned transaction whose keccak-256 a delegated key signs.  Raises BadTransaction."""
    return EIP1559_TYPE + rlp_encode(_fields(message, chain_id))


def transaction_bytes(message: Message, signature: Signature, *, chain_id: int) -> bytes:
    """The signed transaction as Ethereum nodes pass it round.  Raises BadTransaction."""
    data = signature.data
    if len(data) != 65:
        raise BadTransaction("an Ethereum signature has 65 bytes")
    r, s, v = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:64], "big"), data[64]
    return EIP1559_TYPE + rlp_encode([*_fields(message, chain_id), v, r, s])


def transaction_hash(message: Message, signature: Signature, *, chain_id: int) -> bytes:
    """The hash by which Ethereum tools know the message."""
    return keccak256(transaction_bytes(message, signature, chain_id=chain_id))


def _fields(message: Message, chain_id: int) -> list[object]:
    return [
        chain_id,
        message.nonce,
        int(message.gas_premium),
        int(message.gas_fee_cap),
        message.gas_limit,
        _receiver(message),
        int(message.value),
        _input(message),
        [],
    ]


def _receiver(message: Message) -> bytes:
    """The 20 bytes of `to`; none for a deployment."""
    if message.to == EAM_ACTOR and message.method == METHOD_CREATE_EXTERNAL:
        return b""
    if message.method != METHOD_INVOKE_EVM:
        raise BadTransaction(f"invalid method number {message.method} for an Ethereum transaction")
    return _eth_name(message.to)


def _eth_name(address: Address) -> bytes:
    if address.protocol == ID:
        return eth_masked_id(address.actor_id)
    name = address.eth_address if address.protocol == DELEGATED else None
    if name is None:
        raise BadTransaction("the receiver has no Ethereum address")
    return name


def _input(message: Message) -> bytes:
    """The call data: params without their outer CBOR head."""
    if not message.params:
        return b""
    try:
        data, end = bytes_read(message.params, 0)
    except BadCbor as error:
        raise BadTransaction(f"failed to read params byte array: {error}") from None
    if end != len(message.params):
        raise BadTransaction("params are not a single byte array")
    return data
