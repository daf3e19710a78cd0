"""Filecoin.State* about where a message landed: searches, waits and receipts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.forms import lookup_json, tipset_get
from poolsite.devnet.search import Lookup, Replaced, UnknownMessage
from poolsite.filecoin.message import receipt_to_json
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.tipset import Tipset

Key = tuple["Cid", ...]
MAX_CONFIDENCE: Final = 900


def state_search(node: Devnet, key: Key, cid: Cid, limit: int, allow_replaced: bool) -> Any:
    try:
        found = node.search.find(cid, tipset_get(node, key), limit=limit, allow_replaced=allow_replaced)
    except UnknownMessage as error:
        raise message_unknown(error) from None
    except Replaced as error:
        if allow_replaced:
            raise RpcError(f"checking for message execution during lookback: {error}") from None
        return None
    return None if found is None else lookup_json(found)


def message_unknown(error: UnknownMessage) -> RpcError:
    """Return the refusal of a message that this node has never seen, as lotus words it."""
    return RpcError(f"%!w(*errors.errorString=&{{failed to load message}}): ipld: could not find {error.cid}")


async def state_wait(node: Devnet, cid: Cid, confidence: int, limit: int, allow_replaced: bool) -> Any:
    """Answer when the head is `confidence` epochs past the execution; follows reorgs."""
    if confidence > MAX_CONFIDENCE:
        raise RpcError(
            f"message confidence exceeds maximum: {confidence} > {MAX_CONFIDENCE}: "
            "message confidence exceeds maximum"
        )
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch(_reverted: list[Tipset], _applied: list[Tipset]) -> None:
        loop.call_soon_threadsafe(changed.set)

    node.watchers.add(watch)
    try:
        while True:
            changed.clear()
            found = _found(node, cid, limit=limit, allow_replaced=allow_replaced)
            if found is not None and node.head.height >= found.executed.height + confidence:
                return lookup_json(found)
            await changed.wait()
    finally:
        node.watchers.discard(watch)


def _found(node: Devnet, cid: Cid, *, limit: int, allow_replaced: bool) -> Lookup | None:
    try:
        return node.search.find(cid, node.head.tipset, limit=limit, allow_replaced=allow_replaced)
    except UnknownMessage as error:
        raise message_unknown(error) from None
    except Replaced as error:
        raise RpcError(str(error)) from None


def state_get_receipt(node: Devnet, cid: Cid, key: Key) -> Any:
    found = _found(node, cid, limit=-1, allow_replaced=True)
    tipset_get(node, key)
    return None if found is None else receipt_to_json(found.receipt)


METHODS_V1: Final = (
    Method("StateSearchMsg", "read", (p.TIPSET_KEY, p.CID, p.EPOCH, p.BOOL), state_search),
    Method("StateWaitMsg", "read", (p.CID, p.UINT, p.EPOCH, p.BOOL), state_wait),
)


def _search_v0(node: Devnet, cid: Cid) -> Any:
    return state_search(node, (), cid, -1, True)


def _search_limited_v0(node: Devnet, cid: Cid, limit: int) -> Any:
    return state_search(node, (), cid, limit, True)


async def _wait_v0(node: Devnet, cid: Cid, confidence: int) -> Any:
    return await state_wait(node, cid, confidence, -1, True)


async def _wait_limited_v0(node: Devnet, cid: Cid, confidence: int, limit: int) -> Any:
    return await state_wait(node, cid, confidence, limit, True)


METHODS_V0: Final = (
    Method("StateSearchMsg", "read", (p.CID,), _search_v0),
    Method("StateSearchMsgLimited", "read", (p.CID, p.EPOCH), _search_limited_v0),
    Method("StateWaitMsg", "read", (p.CID, p.UINT), _wait_v0),
    Method("StateWaitMsgLimited", "read", (p.CID, p.UINT, p.EPOCH), _wait_limited_v0),
    Method("StateGetReceipt", "read", (p.CID, p.TIPSET_KEY), state_get_receipt),
)
