"""`Filecoin.StateWaitMsg`: waiting for a message, at a node's socket, for as long as the caller does.

A message lands in its own time, and a caller may want fifteen epochs on top of it: no time limit fits.
Source: filecoin-project/lotus chain/stmgr/searchwait.go WaitForMessage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final

import structlog

from apps.api.rpc.dispatcher import Call, result_unless_disconnected
from apps.api.rpc.services.node.own_messages import own_message_find, own_message_wait, wait_params
from apps.api.rpc.services.node.proxy import (
    NODES,
    frames_followed,
    node_call,
    params_text,
    refusal_of,
)
from apps.api.rpc.threads import LONG_THREADS, TenantSlots
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.sockets import FAILURES, NodeSocket, node_socket_open
from apps.core.database_threads import in_database
from poolsite.wire.jsonrpc.client import result_read
from poolsite.wire.jsonrpc.messages import Json, RpcError

log = structlog.get_logger(__name__)

WAITS: Final = TenantSlots(500)
"""Each wait holds a socket to a node; a tenant's later ones begin when earlier ones end."""
PAUSE_S: Final = 1.0
"""Before another node, or the same one, is asked again."""


def wait_method(method: str) -> Callable[..., Any]:
    """Return the handler of a method that waits for a message."""

    async def handler(call: Call, *params: Json) -> Json:
        params_text(method, list(params))
        return await result_unless_disconnected(call, message_wait(call, method, list(params)))

    return handler


async def message_wait(call: Call, method: str, params: list[Json]) -> Json:
    """Return what became of a message: of the caller's own by the pool's rows, of others by a node.

    If a node lacks the message, ends or is not followed any more, the next one is asked.  Raises RpcError
    with a node's own words.
    """
    wanted = wait_params(params)
    if wanted is not None and (own := await own_message_find(call, wanted.cid)) is not None:
        return await own_message_wait(call, own, wanted)
    lacking: dict[str, NodeRefused] = {}
    async with WAITS.of(call.principal.tenant_name):
        while (socket := await followed_socket(call.version, but=lacking)) is not None:
            try:
                return await answer_of(socket, call.version, method, params)
            except RpcError as error:
                refusal = NodeRefused(error.code, error.message, data=error.data)
                if not refusal.is_missing_object:
                    raise refusal_of(refusal) from None
                lacking[socket.url] = refusal
                continue
            except FAILURES as error:
                lacking.clear()  # others may have the message by now
                log.info("message_wait_lost", node=socket.url, reason=str(error)[:200])
            finally:
                await socket.close()
            await asyncio.sleep(PAUSE_S)
        if lacking:
            raise refusal_of(next(iter(lacking.values())))
        # No node that is followed has a WebSocket: it may wait as long as a POST to it.
        return await LONG_THREADS.run(call.principal.tenant_name, node_call, call, method, params)


async def followed_socket(version: str, *, but: Collection[str]) -> NodeSocket | None:
    """Return a socket to the best node that is followed and has one, but not to these."""
    for address in await in_database(lambda: NODES.addresses(version, to_follow=True)):
        if address.http_url in but:
            continue
        try:
            return await node_socket_open(address)
        except NodeUnavailable:
            continue  # the next best one
    return None


async def answer_of(socket: NodeSocket, version: str, method: str, params: list[Json]) -> Json:
    """Return the answer to one call on a socket.  Raises RpcError, and FAILURES."""
    await socket.send(method, params)
    async for frame in frames_followed(socket, version):
        if isinstance(frame, dict) and frame.get("id") == 1:
            return result_read(frame)
    raise ConnectionError("the pool follows other nodes")


HANDLERS: Final = {name: wait_method(name) for name in ("StateWaitMsg", "StateWaitMsgLimited")}
"""By the name without its prefix."""
