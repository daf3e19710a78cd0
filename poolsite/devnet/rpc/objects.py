"""ChainReadObj: any block, message, list of messages or receipts, by CID."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.devnet.chain import cids_split
from poolsite.filecoin.block import messages_root, receipts_root
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.message import message_to_cbor, signed_message_to_cbor
from poolsite.filecoin.sigtypes import SIG_BLS

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.cids import Cid


OBJECTS_CACHED: Final = 1_000
"""Parts of actors' states that a node remembers for ChainReadObj."""


def object_cache(node: Devnet, data: bytes) -> Cid:
    """Remember a part of an actor's state that is being named to a caller, who may ask for it next."""
    name = cid_of_cbor(data)
    with node.lock:
        node.calls.named.pop(name.data, None)
        node.calls.named[name.data] = data
        while len(node.calls.named) > OBJECTS_CACHED:
            del node.calls.named[next(iter(node.calls.named))]
    return name


def object_get(node: Devnet, cid: Cid) -> bytes | None:
    """Return the object's bytes, None if the node has none."""
    row = node.store.block(cid.data)
    if row is not None:
        return row.header
    signed = node.chain.message(cid)
    if signed is not None:
        is_bls = signed.signature.type == SIG_BLS
        return message_to_cbor(signed.message) if is_bls else signed_message_to_cbor(signed)
    data = node.calls.named.get(cid.data) or node.store.object(cid.data)
    return data if data is not None else _of_recent_blocks(node, cid)


def _of_recent_blocks(node: Devnet, cid: Cid) -> bytes | None:
    """Return a list of messages: these are not stored, but made again from the newest blocks."""
    found: dict[bytes, bytes] = {}

    def collect(name: Cid, data: bytes) -> None:
        found[name.data] = data

    receipts_root([], store=collect)
    tipset = node.head.tipset
    for ancestor in node.chain.ancestors(tipset):
        if ancestor.height < tipset.height - node.network.chain_finality:
            break
        if node.chain.link(ancestor.key).root == cid:
            return node.chain.state_after(ancestor.key).root_object()
        for name in ancestor.cids:
            row = node.store.block(name.data)
            if row is not None:
                messages_root(cids_split(row.bls), cids_split(row.secpk), store=collect)
        if cid.data in found:
            break
    return found.get(cid.data)
