"""Filecoin.Chain*: tipsets, blocks, messages, receipts, objects, and the notification of heads."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.consensus import weight_of
from poolsite.devnet.executed_tipset import NoTipset
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.errors import not_stored
from poolsite.devnet.rpc.forms import (
    head_change_json,
    included_message_json,
    tipset_exact,
    tipset_get,
)
from poolsite.devnet.rpc.objects import object_get
from poolsite.filecoin.block import header_to_json
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.message import message_to_json, receipt_to_json, signed_message_to_json
from poolsite.filecoin.tipset import TipsetKey, tipset_key_to_json, tipset_to_json
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.rpc.dispatch import Channel
    from poolsite.filecoin.block import BlockHeader
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.tipset import Tipset

Key = tuple["Cid", ...]


def chain_head(node: Devnet) -> Any:
    return tipset_to_json(node.shown_head)


def chain_get_genesis(node: Devnet) -> Any:
    return tipset_to_json(node.chain.genesis.tipset)


def chain_get_tipset(node: Devnet, key: Key) -> Any:
    return tipset_to_json(tipset_exact(node, key))


def chain_get_tipset_by_height(node: Devnet, height: int, key: Key) -> Any:
    return tipset_to_json(_at_height(node, height, key))


def chain_get_tipset_after_height(node: Devnet, height: int, key: Key) -> Any:
    return tipset_to_json(_at_height(node, height, key, after=True))


def _at_height(node: Devnet, height: int, key: Key, *, after: bool = False) -> Tipset:
    base = tipset_get(node, key)
    if height < 0:
        raise RpcError(f"height {height} is negative")
    if height > base.height:
        raise RpcError(
            f"looking for tipset with height greater than start point, req: {height}, head: {base.height}"
        )
    return node.chain.at_height(height, base, after=after)


def chain_get_finalized(node: Devnet) -> Any:
    height = node.head.height - node.network.chain_finality
    if height < 0:
        raise RpcError(f"height {height} is negative")
    return tipset_to_json(node.chain.at_height(height, node.head.tipset))


def chain_get_block(node: Devnet, cid: Cid) -> Any:
    return header_to_json(_header(node, cid))


def _header(node: Devnet, cid: Cid) -> BlockHeader:
    try:
        return node.chain.header(cid)
    except NoTipset:
        raise not_stored(cid) from None


def chain_get_message(node: Devnet, cid: Cid) -> Any:
    signed = node.chain.message(cid)
    if signed is None:
        raise not_stored(cid)
    return message_to_json(signed.message)


def chain_get_block_messages(node: Devnet, cid: Cid) -> Any:
    _header(node, cid)
    bls, secpk = node.chain.block_messages(cid)
    return {
        "BlsMessages": [message_to_json(signed.message) for signed in bls],
        "SecpkMessages": [signed_message_to_json(signed) for signed in secpk],
        "Cids": [cid_to_json(signed.cid) for signed in (*bls, *secpk)],
    }


def _flat(node: Devnet, tipset: Tipset) -> list[dict[str, Any]]:
    return [
        included_message_json(cid, signed)
        for messages in node.chain.tipset_messages(tipset)
        for cid, signed in messages
    ]


def chain_get_parent_messages(node: Devnet, cid: Cid) -> Any:
    header = _header(node, cid)
    if not header.parents:
        return None
    return _flat(node, node.chain.link(TipsetKey(header.parents)).tipset) or None


def chain_get_parent_receipts(node: Devnet, cid: Cid) -> Any:
    header = _header(node, cid)
    if not header.parents:
        return None
    return [receipt_to_json(receipt) for receipt in node.chain.receipts(TipsetKey(header.parents))]


def chain_get_messages_in_tipset(node: Devnet, key: Key) -> Any:
    return _flat(node, tipset_get(node, key)) or None


def chain_read_obj(node: Devnet, cid: Cid) -> Any:
    data = object_get(node, cid)
    if data is None:
        raise RpcError(f"blockstore get: ipld: could not find {cid}")
    return base64.b64encode(data).decode()


def chain_has_obj(node: Devnet, cid: Cid) -> Any:
    return object_get(node, cid) is not None


def chain_tipset_weight(node: Devnet, key: Key) -> Any:
    return str(weight_of(node.chain, tipset_get(node, key), node.rules))


def chain_list(node: Devnet, key: Key, count: int) -> Any:
    keys: list[Any] = []
    for tipset in node.chain.ancestors(tipset_get(node, key)):
        if len(keys) >= count:
            break
        keys.append(tipset_key_to_json(tipset.key))
    return keys


def chain_get_path(node: Devnet, start: Key, end: Key) -> Any:
    reverted, applied = node.chain.path(tipset_get(node, start), tipset_get(node, end))
    changes = [head_change_json("revert", tipset) for tipset in reverted]
    return changes + [head_change_json("apply", tipset) for tipset in applied]


def chain_set_head(node: Devnet, key: Key) -> Any:
    node.head_set(tipset_exact(node, key).key)


def chain_notify(node: Devnet, channel: Channel) -> Any:
    """First one `current`, then a frame per head: reverts downwards, applies upwards."""
    is_ready = False
    send = node.faults.repeated(channel.send)

    def watch(reverted: list[Tipset], applied: list[Tipset]) -> None:
        if is_ready and (reverted or applied):
            changes = [head_change_json("revert", tipset) for tipset in reverted]
            send(changes + [head_change_json("apply", tipset) for tipset in applied])

    with node.lock:
        channel.send([head_change_json("current", node.head.tipset)])
        is_ready = True
        node.watchers.add(watch)
    channel.on_close(lambda: node.watchers.discard(watch))


METHODS: Final = (
    Method("ChainHead", "read", (), chain_head),
    Method("ChainGetGenesis", "read", (), chain_get_genesis),
    Method("ChainGetTipSet", "read", (p.TIPSET_KEY,), chain_get_tipset),
    Method("ChainGetTipSetByHeight", "read", (p.EPOCH, p.TIPSET_KEY), chain_get_tipset_by_height),
    Method("ChainGetTipSetAfterHeight", "read", (p.EPOCH, p.TIPSET_KEY), chain_get_tipset_after_height),
    Method("ChainGetFinalizedTipSet", "read", (), chain_get_finalized),
    Method("ChainGetBlock", "read", (p.CID,), chain_get_block),
    Method("ChainGetMessage", "read", (p.CID,), chain_get_message),
    Method("ChainGetBlockMessages", "read", (p.CID,), chain_get_block_messages),
    Method("ChainGetParentMessages", "read", (p.CID,), chain_get_parent_messages),
    Method("ChainGetParentReceipts", "read", (p.CID,), chain_get_parent_receipts),
    Method("ChainGetMessagesInTipset", "read", (p.TIPSET_KEY,), chain_get_messages_in_tipset),
    Method("ChainReadObj", "read", (p.CID,), chain_read_obj),
    Method("ChainHasObj", "read", (p.CID,), chain_has_obj),
    Method("ChainTipSetWeight", "read", (p.TIPSET_KEY,), chain_tipset_weight),
    Method("ChainList", "read", (p.TIPSET_KEY, p.INT), chain_list),
    Method("ChainGetPath", "read", (p.TIPSET_KEY, p.TIPSET_KEY), chain_get_path),
    Method("ChainSetHead", "admin", (p.TIPSET_KEY,), chain_set_head, slow=True),
    Method("ChainNotify", "read", (), chain_notify, channel=True),
)
