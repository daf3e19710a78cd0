"""`Filecoin.*`: the pool's nodes outward, as if they were one node of the caller's own.

Calls go to the best node, with failover.  Who may call what is in `chain_table`.
Source: filecoin-project/lotus api/proxy_gen.go (levels); venus venus-shared/api (namespace header).
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
from django.db import InterfaceError, OperationalError

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.node.methods import IMMUTABLE, LEVELS
from apps.api.rpc.threads import NODE_THREADS
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.addresses import NodeAddress
from apps.chain.node.client import ChainClient
from apps.chain.node.link import link_to
from apps.chain.node.sockets import FAILURES, NodeSocket, node_socket_open
from apps.chain.selectors.nodes import nodes_for_reading, nodes_to_follow
from apps.core.database_threads import in_database
from poolsite.wire.jsonrpc.client import channel_read
from poolsite.wire.jsonrpc.messages import CODE_PANIC, CODE_PARSE, Json, RpcError

log = structlog.get_logger(__name__)

PREFIX: Final = "Filecoin."
ORDER_TTL_S: Final = 0.25
"""How long a process remembers which nodes are well; a call that fails goes on to the next one anyway."""
CHECK_S: Final = 3.0
"""How often a channel checks whether its node is still one to follow."""
OBJECTS_BYTES_MAX: Final = 8 << 20
"""JSON of the immutable objects that a process keeps."""
PROTOCOL_CODES_BELOW: Final = -32000
"""Errors of the protocol, which go-jsonrpc sends with status 500."""


class ObjectCache:
    """The immutable objects that were asked for lately."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._objects: OrderedDict[str, tuple[Json, int]] = OrderedDict()
        self._size = 0

    def get(self, key: str) -> Json | None:
        """Return an object; None if it is not here."""
        with self._lock:
            found = self._objects.get(key)
            if found is None:
                return None
            self._objects.move_to_end(key)
            return found[0]

    def put(self, key: str, value: Json) -> None:
        """Cache an object; the least recently used one goes."""
        size = len(json.dumps(value)) + len(key)
        if size > self._bytes_max // 8:
            return
        with self._lock:
            if key in self._objects:
                return
            self._objects[key] = (value, size)
            self._size += size
            while self._size > self._bytes_max:
                _, (_, evicted) = self._objects.popitem(last=False)
                self._size -= evicted

    def clear(self) -> None:
        """Empty the cache."""
        with self._lock:
            self._objects.clear()
            self._size = 0


class NodeAddresses:
    """The nodes as this process knows them at the moment."""

    def __init__(self) -> None:
        self._until = 0.0
        self._lock = threading.Lock()
        self._addresses: list[NodeAddress] = []
        self._to_follow: list[NodeAddress] = []

    def addresses(self, version: str, *, to_follow: bool = False) -> list[NodeAddress]:
        """Return the nodes' addresses in this version of the interface, the best first.

        `to_follow`: only of those whose heads are taken.
        """
        with self._lock:  # one query when the time is over, not one of each thread
            if time.monotonic() >= self._until:
                nodes = nodes_for_reading()
                self._addresses, self._to_follow = (
                    [NodeAddress.of(url=node.url, token=node.token) for node in rows]
                    for rows in (nodes, nodes_to_follow(nodes))
                )
                self._until = time.monotonic() + ORDER_TTL_S
        return [
            NodeAddress.of(url=f"{one.http_url.removesuffix('/rpc/v1')}/rpc/{version}", token=one.token)
            if one.http_url.endswith("/rpc/v1")
            else one
            for one in (self._to_follow if to_follow else self._addresses)
        ]

    def client(self, version: str) -> ChainClient:
        """Return the client over them."""
        return ChainClient([link_to(one.http_url, one.token) for one in self.addresses(version)])

    def clear(self) -> None:
        """Read the rows again with the next call."""
        self._until = 0.0


OBJECT_CACHE: Final = ObjectCache(OBJECTS_BYTES_MAX)
"""This process' memory of objects.  (Module state: they are the same for every caller.)"""
NODES: Final = NodeAddresses()
"""The nodes as this process knows them.  (Module state: a call must not cost a query.)"""


def node_call(call: Call, method: str, params: list[Json]) -> Json:
    """Forward one call.  Raises RpcError with the node's own code and words."""
    text = params_text(method, params)
    is_object = method in IMMUTABLE and (method == "ChainGetGenesis" or bool(params and params[0]))
    key = f"{method}{text}" if is_object else ""
    if key and (found := OBJECT_CACHE.get(key)) is not None:
        return found
    client = NODES.client(call.version)
    if LEVELS[method] in {"sign", "admin"}:  # not idempotent: a retry at a second node could do it twice
        client = ChainClient(client.links[:1])
    try:
        result = client.call(method, *params)
    except NodeRefused as refusal:
        raise refusal_of(refusal) from None
    except RecursionError as error:
        raise params_error(method, error) from None
    if key and result is not None:
        OBJECT_CACHE.put(key, result)
    return result


async def in_node_thread(call: Call, work: Callable[[], Any]) -> Any:
    """Return the result of blocking code, which waits for a node or the database."""
    return await NODE_THREADS.run(call.principal.tenant_name, work)


def params_text(method: str, params: list[Json]) -> str:
    """Write the parameters.  Raises RpcError for numbers that JSON does not have."""
    try:
        return json.dumps(params, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise params_error(method, error) from None


def params_error(method: str, error: Exception) -> RpcError:
    """Return the error for parameters that cannot be written."""
    message = f"(error code {CODE_PARSE}) unmarshaling params for '{PREFIX}{method}': {error}"
    return RpcError(message, code=CODE_PARSE, status=500)


def refusal_error(code: int, reason: str, *, data: Json = None) -> RpcError:
    """Return what a node said."""
    is_protocol = code < PROTOCOL_CODES_BELOW or code == CODE_PANIC
    return RpcError(reason, code=code, status=500 if is_protocol else 200, data=data)


def refusal_of(refusal: NodeRefused) -> RpcError:
    """Return what a node said."""
    return refusal_error(refusal.rpc_code, refusal.reason, data=refusal.data)


async def subscribe(version: str, method: str, params: list[Json]) -> tuple[NodeSocket, Json]:
    """Return a socket of the best node that answers a call on it, and the result.

    Raises RpcError with a node's refusal, or because no node can be reached.
    """
    reason = "the pool has no readable node"
    for address in await in_database(NODES.addresses, version):
        try:
            socket = await node_socket_open(address)
        except NodeUnavailable as error:
            reason = error.reason
            continue
        try:
            return socket, await socket.call(method, params)
        except RpcError as refusal:
            await socket.close()
            raise refusal_error(refusal.code, refusal.message, data=refusal.data) from None
        except FAILURES as error:
            reason = f"{address.http_url}: {error}"[:300]
            await socket.close()
    raise RpcError(reason)


async def channel_open(call: Call, method: str, params: list[Json]) -> AsyncIterator[Json]:
    """Open a node's channel for a caller.

    It ends when the node does, or when the pool follows other nodes; asked again, another one answers.

    Raises RpcError if no node gives it.
    """
    params_text(method, params)
    socket, _ = await subscribe(call.version, method, params)
    return channel_values(socket, call.version)


async def frames_followed(socket: NodeSocket, version: str) -> AsyncIterator[Json]:
    """Yield a socket's frames while the pool follows its node, and None every few seconds.

    A node that stands still says nothing for ever, and one that was disabled goes on.  Raises FAILURES.
    """
    loop = asyncio.get_running_loop()
    check_at = loop.time() + CHECK_S
    while True:
        frame = None
        with suppress(TimeoutError):
            async with asyncio.timeout_at(check_at):
                frame = await socket.frame()
        yield frame
        if loop.time() < check_at:
            continue
        check_at = loop.time() + CHECK_S
        with suppress(OperationalError, InterfaceError):  # without the database nothing is known: go on
            followed = await in_database(partial(NODES.addresses, version, to_follow=True))
            if socket.url not in {one.http_url for one in followed}:
                log.warning("node_channel_left", node=socket.url)
                return


async def channel_values(socket: NodeSocket, version: str) -> AsyncIterator[Json]:
    """Yield a channel's values until it or its socket ends."""
    try:
        async for frame in frames_followed(socket, version):
            if frame is None:
                continue
            is_open, values = channel_read(frame)
            if not is_open:
                return
            for value in values:
                yield value
    except FAILURES as error:
        # The node disconnected or exceeded the size limit: clients resubscribe when their channel ends.
        log.warning("node_channel_ended", node=socket.url, reason=str(error)[:200])
    finally:
        await socket.close()


@dataclass(frozen=True, slots=True)
class ProxyMethod:
    """Forwards one method."""

    method: str

    def __call__(self, call: Call, *params: Json) -> Json:
        """Call a node."""
        return node_call(call, self.method, list(params))
