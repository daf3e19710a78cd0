"""Transactions and receipts by hash.  Source: lotus node/impl/eth/transaction.go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poolsite.devnet.rpc.eth.blocks import block_hash
from poolsite.devnet.rpc.eth.messages import (
    ethereum_json,
    receipt_json,
    transaction_hash_text,
    transaction_json,
)
from poolsite.devnet.rpc.mpool import mpool_push
from poolsite.devnet.search import Replaced, UnknownMessage
from poolsite.filecoin.cids import Cid, cid_of_digest, cid_to_json
from poolsite.filecoin.ethereum import transaction_to_message
from poolsite.filecoin.ethereum_transaction import BadTransaction, transaction_parse
from poolsite.filecoin.keccak import keccak256
from poolsite.filecoin.sigtypes import SIG_DELEGATED
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.search import Lookup
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.message import SignedMessage
    from poolsite.filecoin.tipset import Tipset

NO_LIMIT = -1
"""Search back to genesis."""


def message_cid(node: Devnet, name: bytes) -> Cid:
    """Return the CID behind a transaction's hash: the index's, else the hash itself is a message's."""
    found = node.store.transaction(name)
    return cid_of_digest(name) if found is None else Cid(found)


def send_raw(node: Devnet, raw: bytes) -> Any:
    """Push a signed transaction to the mempool; return its hash."""
    chain_id = node.network.eth_chain_id
    try:
        signed = transaction_to_message(transaction_parse(raw, chain_id=chain_id), chain_id=chain_id)
    except BadTransaction as error:
        raise RpcError(str(error)) from None
    mpool_push(node, signed)
    return "0x" + keccak256(raw).hex()


def _placed(
    node: Devnet, signed: SignedMessage, state: State, *, tipset: Tipset, index: int
) -> dict[str, Any]:
    place = {
        "blockHash": block_hash(tipset),
        "blockNumber": hex(tipset.height),
        "transactionIndex": hex(index),
    }
    return {**transaction_json(node, signed, state), **place}


def _messages(node: Devnet, tipset: Tipset) -> list[tuple[Cid, SignedMessage]]:
    return [entry for part in node.chain.tipset_messages(tipset) for entry in part]


def _of_lookup(node: Devnet, lookup: Lookup) -> dict[str, Any]:
    messages = _messages(node, lookup.included)
    index = [cid for cid, _ in messages].index(lookup.cid)
    state = node.chain.state_after(lookup.included.key)
    return _placed(node, messages[index][1], state, tipset=lookup.included, index=index)


def by_transaction_hash(node: Devnet, name: bytes | None) -> Any:
    """Return the transaction, landed or pending; null for one that nobody knows."""
    if name is None:
        return None
    cid = message_cid(node, name)
    try:
        found = node.search.find(cid, node.head.tipset, limit=NO_LIMIT)
    except (UnknownMessage, Replaced):
        found = None
    if found is not None:
        return _of_lookup(node, found)
    signed = node.chain.message(cid)
    if signed is None or not _is_pending(node, signed):
        return None
    if signed.signature.type != SIG_DELEGATED:
        kind = signed.signature.type
        reason = f"signature is not delegated type, is type: {kind}"
        raise RpcError(f"could not convert Filecoin message into tx: {reason}")
    return ethereum_json(signed, chain_id=node.network.eth_chain_id)


def _is_pending(node: Devnet, signed: SignedMessage) -> bool:
    return any(other.cid == signed.cid for other in node.mempool.pending_of(signed.message.from_))


def receipt(node: Devnet, name: bytes) -> Any:
    """Return the receipt of a landed transaction, null for every other."""
    try:
        found = node.search.find(message_cid(node, name), node.head.tipset, limit=NO_LIMIT)
    except UnknownMessage:
        return None
    except Replaced as error:
        raise RpcError(f"could not find transaction 0x{name.hex()}: {error}") from None
    if found is None:
        return None
    base_fee = found.included.parent_base_fee
    return receipt_json(_of_lookup(node, found), found.receipt, base_fee=base_fee)


def cid_by_hash(node: Devnet, name: bytes | None) -> Any:
    """Return the message behind a transaction's hash, null if there is none."""
    if name is None:
        return None
    cid = message_cid(node, name)
    return None if node.chain.message(cid) is None else cid_to_json(cid)


def hash_by_cid(node: Devnet, cid: Cid) -> Any:
    """Return the transaction hash of a message, null if there is none."""
    signed = node.chain.message(cid)
    return None if signed is None else transaction_hash_text(node, signed)
