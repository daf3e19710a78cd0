"""Blocks as Ethereum tools see them: a tipset with its messages, found by tag, number or hash.

A block's hash is the digest of its tipset key's CID.  `latest` is the head's parent, the newest tipset whose
messages the network has executed.  Source: lotus node/impl/eth/tipsetresolver.go, utils.go, transaction.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.executed_tipset import NoTipset
from poolsite.devnet.rpc.errors import NULL_ROUND
from poolsite.devnet.rpc.eth import readers
from poolsite.devnet.rpc.eth.messages import ZERO_HASH, hash_text, transaction_json
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cbor import bytes_read as cbor_bytes_read
from poolsite.filecoin.cids import BadCid, cid_of_digest
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.tipset import tipset_key_from_bytes
from poolsite.wire.jsonrpc.messages import RpcError
from poolsite.wire.jsonrpc.parameters import BadParam

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.rpc.eth.readers import BlockName
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.tipset import Tipset

SAFE_DEPTH: Final = 30
"""Epochs behind the head at which a block counts as safe."""
NO_UNCLES: Final = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
"""Keccak-256 of the RLP of an empty list."""
NO_TRANSACTIONS: Final = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
"""Keccak-256 of the RLP of nothing."""
BLOOM_BYTES: Final = 256
FULL_BLOOM: Final = "0x" + "ff" * BLOOM_BYTES
"""Blocks say of every log that it may be in them."""


def parent_or_self(node: Devnet, tipset: Tipset) -> Tipset:
    """Return the parent; genesis for genesis."""
    link = node.chain.parent(tipset)
    return tipset if link is None else link.tipset


def by_tag(node: Devnet, tag: str) -> Tipset:
    """Return the tipset that a tag names.  Raises RpcError."""
    head = node.head.tipset
    if tag == "earliest":
        raise RpcError('block param "earliest" is not supported')
    if tag == "pending":
        return head
    if tag == "latest":
        return parent_or_self(node, head)
    depth = SAFE_DEPTH if tag == "safe" else node.network.chain_finality
    return node.chain.at_height(max(head.height - depth, 0), head)


def by_number(node: Devnet, text: str, *, is_strict: bool) -> Tipset:
    """Return the tipset of a tag or a number.  Raises RpcError, for a null round if `is_strict`."""
    if text in readers.TAGS:
        return by_tag(node, text)
    try:
        number = readers.number_text(text)
    except BadParam as error:
        raise RpcError(f"failed to parse block number: {error}") from None
    tipset = _at_height(node, number)
    if is_strict and tipset.height != number:
        text = f"requested epoch was a null round ({number})"
        raise RpcError(text, code=NULL_ROUND, data=number)
    return tipset


def _at_height(node: Devnet, number: int) -> Tipset:
    head = node.head.tipset
    if number > head.height - 1:
        raise RpcError("requested a future epoch (beyond 'latest')")
    return node.chain.at_height(number, head)


def by_hash(node: Devnet, name: bytes) -> Tipset:
    """Return the tipset with a hash.  Raises RpcError."""
    cid = cid_of_digest(name)
    data = node.store.object(cid.data)
    try:
        key, _ = cbor_bytes_read(data or b"", 0)
        return node.chain.link(tipset_key_from_bytes(key)).tipset
    except (BadCbor, BadCid, NoTipset):
        reason = f"cannot find tipset with cid {cid}: ipld: could not find {cid}"
        raise RpcError(f"failed to get tipset by hash: {reason}") from None


def named(node: Devnet, name: BlockName) -> Tipset:
    """Return the tipset of a block parameter.  Raises RpcError."""
    if name.tag:
        return by_tag(node, name.tag)
    if name.number is not None:
        return _at_height(node, name.number)
    if name.hash is None:
        raise RpcError("invalid block param")
    tipset = by_hash(node, name.hash)
    if name.canonical and not node.chain.is_canonical(tipset):
        raise RpcError("tipset is not canonical")
    return tipset


def state_named(node: Devnet, name: BlockName) -> State:
    """Return the state after a block's messages.  Raises RpcError."""
    return node.chain.state_after(named(node, name).key)


def block_hash(tipset: Tipset) -> str:
    """Return a block's name."""
    return hash_text(tipset.key.cid)


def block_json(node: Devnet, tipset: Tipset, *, with_transactions: bool) -> dict[str, Any]:
    """EthBlock."""
    state = node.chain.state_after(tipset.key)
    messages = [entry for part in node.chain.tipset_messages(tipset) for entry in part]
    receipts = node.chain.receipts(tipset.key)
    name, number = block_hash(tipset), hex(tipset.height)
    transactions: list[Any] = []
    for index, (_, signed) in enumerate(messages):
        body = transaction_json(node, signed, state)
        place = {"blockHash": name, "blockNumber": number, "transactionIndex": hex(index)}
        transactions.append({**body, **place} if with_transactions else body["hash"])
    first = tipset.blocks[0]
    return {
        "hash": name,
        "parentHash": hash_text(tipset.parents.cid),
        "sha3Uncles": NO_UNCLES,
        "miner": "0x" + "00" * 20,
        "stateRoot": ZERO_HASH,
        "transactionsRoot": ZERO_HASH if messages else NO_TRANSACTIONS,
        "receiptsRoot": ZERO_HASH,
        "logsBloom": FULL_BLOOM,
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "number": number,
        "gasLimit": hex(BLOCK_GAS_LIMIT * len(tipset.blocks)),
        "gasUsed": hex(sum(receipt.gas_used for receipt in receipts)),
        "timestamp": hex(first.timestamp),
        "extraData": "0x",
        "mixHash": ZERO_HASH,
        "nonce": "0x" + "00" * 8,
        "baseFeePerGas": hex(first.parent_base_fee),
        "size": "0x0",
        "transactions": transactions,
        "uncles": [],
    }


def block_number(node: Devnet) -> Any:
    """Return the number of `latest`."""
    return hex(parent_or_self(node, node.head.tipset).height)


def block_by_number(node: Devnet, number: str, with_transactions: bool) -> Any:
    tipset = by_number(node, number, is_strict=True)
    return block_json(node, tipset, with_transactions=with_transactions)


def block_by_hash(node: Devnet, name: bytes, with_transactions: bool) -> Any:
    return block_json(node, by_hash(node, name), with_transactions=with_transactions)
