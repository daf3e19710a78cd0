"""Methods that look up a message by its CID, answered from the pool's rows for every CID that it returned.

A node forgets replaced versions, and one that was set up anew never had them: a program that keeps a CID, as
lotus-miner does, would ask for ever.
Source: filecoin-project/lotus chain/stmgr/searchwait.go, node/impl/full/state.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.messager.waits import message_wait
from apps.api.rpc.services.node.proxy import in_node_thread, node_call
from apps.chain.node.tipsets import key_to_json
from apps.messages.selectors.messages import (
    message_get,
    message_may_land,
    message_of_cid,
    message_versions,
)
from apps.messages.states import MessageState
from poolsite.filecoin.cids import BadCid, cid_parse
from poolsite.filecoin.message import Receipt, message_to_json, receipt_to_json
from poolsite.wire.jsonrpc.messages import Json, RpcError

if TYPE_CHECKING:
    from apps.messages.models import Message

OPEN_CHECK_S: Final = 5.0
"""Between two checks whether the nonce of a failed message is still unused."""


@dataclass(frozen=True, slots=True)
class Search:
    """The parameters of StateSearchMsg and StateWaitMsg."""

    cid: str
    confidence: int = 0
    """Epochs that a landing has to be old."""
    head: tuple[dict[str, str], ...] = ()
    """Key of the tipset below which the landing is searched for; empty: the node's head."""
    limit: int = -1
    """Epochs below it that are searched; negative: all."""
    allows_replaced: bool = True
    """Whether a version of the message with other fees counts as found, too."""


def wait_params(params: list[Json]) -> Search | None:
    """Read StateWaitMsg's and StateWaitMsgLimited's parameters; None: malformed, for the node to refuse."""
    match params:
        case [{"/": str(cid)}, int(confidence), int(limit), bool(allows_replaced)]:
            return Search(cid, confidence, limit=limit, allows_replaced=allows_replaced)
        case [{"/": str(cid)}, int(confidence), *_] if len(params) <= 3:
            return Search(cid, confidence)
    return None


def search_params(params: list[Json]) -> Search | None:
    """Read StateSearchMsg's and StateSearchMsgLimited's parameters; None as in `wait_params`."""
    match params:
        case [head, {"/": str(cid)}, int(limit), bool(allows_replaced)] if isinstance(head, list | None):
            return Search(cid, head=tuple(head or ()), limit=limit, allows_replaced=allows_replaced)
        case [{"/": str(cid)}]:
            return Search(cid)
        case [{"/": str(cid)}, int(limit)]:
            return Search(cid, limit=limit)
    return None


def search_method(method: str) -> Callable[..., Json]:
    """Return the handler of a method that looks a message up."""

    def handler(call: Call, *params: Json) -> Json:
        wanted = search_params(list(params))
        row = None if wanted is None else message_of_cid(call.principal, canonical(wanted.cid))
        if wanted is None or row is None:
            return node_call(call, method, list(params))
        return own_message_search(call, row, wanted)

    return handler


def chain_get_message(call: Call, *params: Json) -> Json:
    """Return a message by its CID, by the pool's rows where no node has it.  Raises RpcError."""
    try:
        return node_call(call, "ChainGetMessage", list(params))
    except RpcError:
        match params:
            case ({"/": str(cid)},):
                row = message_of_cid(call.principal, canonical(cid))
                versions = [] if row is None else message_versions(row)
                for signed in versions:
                    if str(signed.cid) == canonical(cid):
                        return message_to_json(signed.message)
        raise


def canonical(cid: str) -> str:
    """Return a CID as rows store it; any other text unchanged, which matches no row."""
    with suppress(BadCid):
        return str(cid_parse(cid))
    return cid


async def own_message_find(call: Call, cid: str) -> Message | None:
    """Return the caller's message of which a version has this CID."""
    found: Message | None = await in_node_thread(
        call, partial(message_of_cid, call.principal, canonical(cid))
    )
    return found


async def own_message_wait(call: Call, row: Message, wanted: Search) -> Json:
    """Return where a message landed once it is there, `confidence` epochs deep.

    Raises RpcError, as lotus does, if its nonce went to another message.
    """
    while True:
        key = await message_wait(viewer=call.principal, id=row.pk, confidence=wanted.confidence)
        found = await in_node_thread(call, partial(_waited, call, key, wanted))
        if found is not None:
            return found
        await asyncio.sleep(OPEN_CHECK_S)


def _waited(call: Call, key: str, wanted: Search) -> Json:
    """Return where a message landed; None while it may still land, given up or reverted."""
    row = message_get(call.principal, key)
    if row.state not in (MessageState.LANDED, MessageState.REPLACED) and message_may_land(row):
        return None
    replaced_check(row, wanted)
    return lookup(call, row)


def own_message_search(call: Call, row: Message, wanted: Search) -> Json:
    """Return where a message landed below a tipset, or null.

    Raises RpcError, as lotus does, if its nonce went to another message.
    """
    if row.state in (MessageState.UNFILLED, MessageState.FILLED):
        return None
    if row.state == MessageState.FAILED and message_may_land(row):
        return None
    try:
        replaced_check(row, wanted)
    except RpcError:
        if wanted.allows_replaced:
            raise
        return None
    found = lookup(call, row)
    if wanted.head or wanted.limit >= 0:
        height = tipset_height(call, list(wanted.head))
        if found["Height"] > height or 0 <= wanted.limit < height - found["Height"]:
            return None
    return found


def replaced_check(row: Message, wanted: Search) -> None:
    """Raise RpcError if another message used the nonce, or another version if only this one is wanted."""
    is_own = row.state == MessageState.LANDED
    if is_own and (wanted.allows_replaced or row.landed_cid == wanted.cid):
        return
    what = "" if is_own else " that is NOT a valid replacement message"
    raise RpcError(
        "message was replaced: found message with equal nonce as the one we are looking for"
        f"{what} (F:{wanted.cid} n {row.nonce}, TS: {row.landed_cid} n{row.nonce})"
    )


def lookup(call: Call, row: Message) -> dict[str, Any]:
    """Return lotus' MsgLookup: its tipset is the one that executed the message."""
    key = key_to_json(row.executed_key)
    receipt = Receipt(exit_code=row.exit_code, return_=bytes(row.return_data), gas_used=row.gas_used)
    return {
        "Message": {"/": row.landed_cid},
        "Receipt": receipt_to_json(receipt),
        "ReturnDec": None,
        "TipSet": key,
        "Height": tipset_height(call, key),
    }


def tipset_height(call: Call, key: list[dict[str, str]]) -> int:
    """Return a tipset's height; the head's for an empty key."""
    tipset: Any = node_call(call, "ChainGetTipSet", [key]) if key else node_call(call, "ChainHead", [])
    return int(tipset["Height"])


HANDLERS: Final = {
    **{name: search_method(name) for name in ("StateSearchMsg", "StateSearchMsgLimited")},
    "ChainGetMessage": chain_get_message,
}
"""By the name without its prefix."""
