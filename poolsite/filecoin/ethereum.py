"""Messages as Ethereum transactions: what stands for what, and whose signature it is.

A message of a delegated (f410) sender is an Ethereum transaction in Filecoin's dress; its signature is over
the transaction, which every node builds anew from the message to check it.  The first byte and the length of
the signature say of which kind it is:

    R, S, V               65 bytes, V 0 or 1       EIP-1559
    0x01, R, S, V         66 bytes, V 27 or 28     legacy, names no network (Homestead)
    0x02, R, S, V...      V = 35 + 2 N or 36 + 2 N legacy, names network N (EIP-155)

`to` is the transaction's receiver, or f010 for a deployment; params are the call data as a CBOR byte string,
without which there are no params at all.

Source: lotus chain/types/ethtypes/eth_transactions.go, whose refusals these are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from poolsite.filecoin.address import (
    DELEGATED,
    EAM_ACTOR,
    EAM_NAMESPACE,
    ID,
    Address,
    delegated_address,
    eth_address,
    eth_masked_id,
)
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.cbor import BadCbor, bytes_read, bytes_write
from poolsite.filecoin.ethereum_transaction import (
    EIP155_MARK,
    EIP155_V,
    EIP1559,
    HOMESTEAD_MARK,
    HOMESTEAD_V,
    LEGACY,
    BadTransaction,
    Transaction,
    int_bytes,
    network_check,
)
from poolsite.filecoin.keccak import keccak256
from poolsite.filecoin.message import METHOD_SEND, Message, SignedMessage
from poolsite.filecoin.signature import BadSignature, Signature, secp256k1_recover
from poolsite.filecoin.sigtypes import SECP256K1_SIGNATURE_LEN, SIG_DELEGATED

METHOD_INVOKE_EVM: Final = 3_844_450_837
"""Method number of InvokeContract, FRC-42 hash of `InvokeEVM`."""
METHOD_CREATE_EXTERNAL: Final = 4
"""Method of f010 that deploys a contract."""
CURVE_ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Order of secp256k1.  Source: SEC 2, section 2.4.1."""


def sender_recover(transaction: Transaction) -> Address:
    """Return the f410 address whose key signed.  Raises BadTransaction."""
    try:
        public = secp256k1_recover(transaction.recoverable, keccak256(transaction.unsigned_bytes))
    except BadSignature as error:
        in_range = 0 < transaction.r < CURVE_ORDER and 0 < transaction.s < CURVE_ORDER
        reason = "secp256k1: point not on curve" if in_range else str(error)
        raise BadTransaction(f"failed to recover pubkey: {reason}") from None
    return delegated_address(EAM_NAMESPACE, keccak256(public[1:])[12:])


def transaction_to_message(transaction: Transaction, *, chain_id: int) -> SignedMessage:
    """Return the message that stands for a transaction.  Raises BadTransaction with lotus' text."""
    try:
        sender = sender_recover(transaction)
    except BadTransaction as error:
        raise BadTransaction(f"failed to calculate sender: {error}") from None
    if transaction.type == EIP1559 and transaction.chain_id != chain_id:
        raise BadTransaction(f"failed to convert to unsigned msg: invalid chain id: {transaction.chain_id}")
    message = Message(
        to=eth_address(transaction.to) if transaction.to else EAM_ACTOR,
        from_=sender,
        nonce=transaction.nonce,
        value=AttoFil(transaction.value),
        gas_limit=transaction.gas_limit,
        gas_fee_cap=AttoFil(transaction.fee_cap),
        gas_premium=AttoFil(transaction.premium),
        method=METHOD_INVOKE_EVM if transaction.to else METHOD_CREATE_EXTERNAL,
        params=bytes_write(transaction.data) if transaction.data else b"",
    )
    return SignedMessage(message, transaction.signature)


def transaction_unsigned(message: Message, *, chain_id: int) -> Transaction:
    """Return the EIP-1559 transaction that a delegated sender signs.  Raises BadTransaction."""
    return Transaction(
        type=EIP1559,
        chain_id=chain_id,
        nonce=message.nonce,
        premium=int(message.gas_premium),
        fee_cap=int(message.gas_fee_cap),
        gas_limit=message.gas_limit,
        to=_receiver(message),
        value=int(message.value),
        data=_input(message),
    )


def transaction_of(message: Message, signature: Signature, *, chain_id: int) -> Transaction:
    """Return the transaction that a signed message stands for.  Raises BadTransaction with lotus' text.

    A legacy transaction has one gas price: it can only stand for a message whose premium is its fee cap.
    """
    if signature.type != SIG_DELEGATED:
        raise BadTransaction(f"signature is not delegated type, is type: {signature.type}")
    plain, data = transaction_unsigned(message, chain_id=chain_id), signature.data
    if len(data) == SECP256K1_SIGNATURE_LEN:
        return replace(plain, r=_number(data[:32]), s=_number(data[32:64]), v=data[64])
    mark, v = data[:1], _number(data[65:])
    lengths = {SECP256K1_SIGNATURE_LEN + 1}
    lengths |= {65 + len(int_bytes(EIP155_V + 2 * chain_id + parity)) for parity in (0, 1)}
    if len(data) not in lengths:
        raise BadTransaction("unsupported signature length")
    if mark == EIP155_MARK:
        network_check(v, chain_id)
    elif mark != HOMESTEAD_MARK:
        raise BadTransaction(f"unsupported legacy transaction; first byte of signature is {mark[0]}")
    elif v not in HOMESTEAD_V:
        raise BadTransaction("legacy homestead transactions only support 27 or 28 for v")
    if message.gas_premium != message.gas_fee_cap:
        raise BadTransaction("Ethereum transaction roundtrip mismatch")
    return replace(
        plain,
        type=LEGACY,
        chain_id=chain_id if mark == EIP155_MARK else 0,
        r=_number(data[1:33]),
        s=_number(data[33:65]),
        v=v,
    )


def signing_bytes(message: Message, *, chain_id: int) -> bytes:
    """Return the unsigned transaction whose keccak-256 a delegated key signs.  Raises BadTransaction."""
    return transaction_unsigned(message, chain_id=chain_id).unsigned_bytes


def transaction_hash(message: Message, signature: Signature, *, chain_id: int) -> bytes:
    """Return the hash by which Ethereum tools know the message.  Raises BadTransaction."""
    return transaction_of(message, signature, chain_id=chain_id).hash


def eth_name(address: Address) -> bytes | None:
    """Return the 20 bytes of an f410 or f0 address by themselves; None for the other kinds."""
    if address.protocol == ID:
        return eth_masked_id(address.actor_id)
    name = address.eth_address if address.protocol == DELEGATED else None
    return None if name is None or eth_address(name).protocol == ID else name


def transfer_method(sender: Address) -> int:
    """Return the method of a plain transfer to an account: a delegated sender signs calls only."""
    return METHOD_INVOKE_EVM if sender.protocol == DELEGATED else METHOD_SEND


def is_transfer(message: Message) -> bool:
    """Return whether a message moves its value and does nothing else that its sender decides.

    An Ethereum account transfers by a call without parameters; a contract may run what it runs on payments.
    """
    return not message.params and message.method == transfer_method(message.from_)


def is_self_transfer(message: Message) -> bool:
    """Return whether a message only moves its value from its sender to itself.

    An Ethereum account takes any call and does nothing.  Source: builtin-actors actors/ethaccount fallback.
    """
    return is_transfer(message) and message.to == message.from_


def _number(data: bytes) -> int:
    """Return big-endian bytes as a number, as R, S and V are in signatures."""
    return int.from_bytes(data, "big")


def _receiver(message: Message) -> bytes:
    """Return the 20 bytes of `to`; none for a deployment."""
    if message.to == EAM_ACTOR:
        if message.method != METHOD_CREATE_EXTERNAL:
            raise BadTransaction("failed to parse input params and recipient: unsupported EAM method")
        return b""
    if message.method != METHOD_INVOKE_EVM:
        raise BadTransaction(
            f"failed to parse input params and recipient: invalid methodnum {message.method}: only allowed "
            f"method is InvokeContract({METHOD_INVOKE_EVM}) or CreateExternal({METHOD_CREATE_EXTERNAL})"
        )
    name = eth_name(message.to)
    if name is None:
        raise BadTransaction("failed to parse input params and recipient: invalid Filecoin Eth address")
    return name


def _input(message: Message) -> bytes:
    """Return the call data: params without their outer CBOR head."""
    if not message.params:
        return b""
    prefix = "failed to parse input params and recipient: "
    try:
        data, end = bytes_read(message.params, 0)
    except BadCbor as error:
        raise BadTransaction(f"{prefix}failed to read params byte array: {error}") from None
    if end != len(message.params):
        raise BadTransaction(f"{prefix}extra data found in params")
    if not data:
        raise BadTransaction(f"{prefix}non-empty params encode empty byte array")
    return data
