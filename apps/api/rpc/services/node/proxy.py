"""`Filecoin.*`: the pool's nodes outward, as if they were one node of the caller's own.

Calls go to the best node, with failover.  Who may call what is in `chain_table`.
Source: filecoin-project/lotus api/proxy_gen.go (levels); venus venus-shared/api (namespace header).
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from apps.api.rpc.services.node.methods import IMMUTABLE, LEVELS
from apps.chain.addresses import NodeAddress
from apps.chain.client import ChainClient
from apps.chain.errors import NodeRefused
from apps.chain.link import link_to
from apps.chain.notify import OPEN_TIMEOUT_S
from apps.chain.selectors import nodes_for_reading
from poolsite.wire.jsonrpc.messages import CODE_PANIC, CODE_PARSE, Json, RpcError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

    from apps.api.rpc.dispatcher import Call

log = structlog.get_logger(__name__)

PREFIX: Final = "Filecoin."
ORDER_KEPT_S: Final = 0.25
"""How long a process remembers which nodes are well; a call that fails goes on to the next one anyway."""
OBJECTS_BYTES_MAX: Final = 8 << 20
"""JSON of the immutable objects that a process keeps."""
PROTOCOL_CODES_BELOW: Final = -32000
"""Errors of the protocol, which go-jsonrpc sends with status 500."""


class ObjectCache:
    """The immutable objects that were asked for lately."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._turn = threading.Lock()
        self._kept: OrderedDict[str, tuple[Json, int]] = OrderedDict()
        self._size = 0

    def get(self, key: str) -> Json | None:
        """Give an object; None if it is not here."""
        with self._turn:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: str, value: Json) -> None:
        """Keep an object; what was not asked for longest goes."""
        size = len(json.dumps(value)) + len(key)
        if size > self._bytes_max // 8:
            return
        with self._turn:
            if key in self._kept:
                return
            self._kept[key] = (value, size)
            self._size += size
            while self._size > self._bytes_max:
                _, (_, gone) = self._kept.popitem(last=False)
                self._size -= gone

    def clear(self) -> None:
        """Forget everything."""
        with self._turn:
            self._kept.clear()
            self._size = 0


class Pool:
    """The nodes as this process knows them at the moment."""

    def __init__(self) -> None:
        self._until = 0.0
        self._addresses: list[NodeAddress] = []

    def addresses(self, version: str) -> list[NodeAddress]:
        """Give the nodes' addresses in this version of the interface, the best first."""
        if time.monotonic() >= self._until:
            nodes = nodes_for_reading()
            self._addresses = [NodeAddress.of(url=node.url, token=node.token) for node in nodes]
            self._until = time.monotonic() + ORDER_KEPT_S
        return [
            NodeAddress.of(url=f"{one.http_url.removesuffix('/rpc/v1')}/rpc/{version}", token=one.token)
            if one.http_url.endswith("/rpc/v1")
            else one
            for one in self._addresses
        ]

    def client(self, version: str) -> ChainClient:
        """Give the client over them."""
        return ChainClient([link_to(one.http_url, one.token) for one in self.addresses(version)])

    def clear(self) -> None:
        """Look at the rows again with the next call."""
        self._until = 0.0


OBJECT_CACHE: Final = ObjectCache(OBJECTS_BYTES_MAX)
"""This process' memory of objects.  (Module state: they are the same for every caller.)"""
POOL: Final = Pool()
"""This process' look at the nodes.  (Module state: a call must not cost a query.)"""


def node_call(call: Call, method: str, params: list[Json]) -> Json:
    """Pass one call on.  Raises RpcError with the node's own code and words."""
    text = params_text(method, params)
    is_object = method in IMMUTABLE and (method == "ChainGetGenesis" or bool(params and params[0]))
    key = f"{method}{text}" if is_object else ""
    if key and (found := OBJECT_CACHE.get(key)) is not None:
        return found
    client = POOL.client(call.version)
    if LEVELS[method] in {"sign", "admin"}:  # done twice it would be two: no second node is asked
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


def params_text(method: str, params: list[Json]) -> str:
    """Write the parameters.  Raises RpcError for numbers that JSON does not have."""
    try:
        return json.dumps(params, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise params_error(method, error) from None


def params_error(method: str, error: Exception) -> RpcError:
    """Make the error for parameters that cannot be written."""
    message = f"(error code {CODE_PARSE}) unmarshaling params for '{PREFIX}{method}': {error}"
    return RpcError(message, code=CODE_PARSE, status=500)


def refusal_error(code: int, reason: str, *, data: Json = None) -> RpcError:
    """Say what a node said."""
    is_protocol = code < PROTOCOL_CODES_BELOW or code == CODE_PANIC
    return RpcError(reason, code=code, status=500 if is_protocol else 200, data=data)


def refusal_of(refusal: NodeRefused) -> RpcError:
    """Say what a node said."""
    return refusal_error(refusal.rpc_code, refusal.reason, data=refusal.data)


async def channel_open(call: Call, method: str, params: list[Json]) -> AsyncIterator[Json]:
    """Open a node's channel for a caller.  It ends when the node does; asked again, another one answers.

    Raises RpcError if no node gives it.
    """
    params_text(method, params)
    addresses = await database_sync_to_async(POOL.addresses, thread_sensitive=False)(call.version)
    reason = "the pool has no node that may be read"
    for address in addresses:
        headers = {"Authorization": f"Bearer {address.token}"} if address.token else {}
        try:
            socket = await connect(
                address.ws_url,
                additional_headers=headers,
                open_timeout=OPEN_TIMEOUT_S,
                max_size=settings.NODE_RESPONSE_MAX_BYTES,
                proxy=None,
            )
        except (WebSocketException, OSError) as error:
            reason = f"{address.http_url}: {error}"[:300]
            continue
        try:
            request = {"jsonrpc": "2.0", "id": 1, "method": PREFIX + method, "params": params}
            await socket.send(json.dumps(request))
            answer = json.loads(await socket.recv())
        except (WebSocketException, OSError, ValueError) as error:
            reason = f"{address.http_url}: {error}"[:300]
            await socket.close()
            continue
        if isinstance(answer, dict) and answer.get("error"):
            await socket.close()
            raise refusal_error(int(answer["error"].get("code", 1)), str(answer["error"].get("message", "")))
        return channel_values(socket, address.http_url)
    raise RpcError(reason)


async def channel_values(socket: ClientConnection, url: str) -> AsyncIterator[Json]:
    """Give a channel's values until it or its socket ends."""
    async with socket:
        try:
            async for text in socket:
                frame = json.loads(text)
                if frame.get("method") == "xrpc.ch.close":
                    return
                if frame.get("method") == "xrpc.ch.val":
                    yield frame["params"][1]
        except (WebSocketException, OSError) as error:
            # the node is gone, or said too much: the caller hears the end of the channel and asks again
            log.warning("node_channel_ended", node=url, reason=str(error)[:200])
            return


@dataclass(frozen=True, slots=True)
class ProxyMethod:
    """Passes one method on."""

    method: str

    def __call__(self, call: Call, *params: Json) -> Json:
        """Ask a node."""
        return node_call(call, self.method, list(params))
