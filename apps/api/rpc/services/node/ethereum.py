"""Ethereum's methods outward: their short names, filters that one node holds, subscriptions.

A filter lives at the node that made it, so nodes are called until one knows it.  A subscription is fed from a
node's socket; if that ends, another node goes on under the same name.
Source: filecoin-project/lotus api/eth_aliases.go, node/impl/eth/events.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.node.methods import LEVELS
from apps.api.rpc.services.node.proxy import NODES, PREFIX, frames_followed, params_text, refusal_of
from apps.api.rpc.services.node.proxy import subscribe as node_subscribe
from apps.api.rpc.transport.socket_state import SocketState
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import ChainClient
from apps.chain.node.sockets import FAILURES, NodeSocket
from poolsite.wire.jsonrpc.messages import Json, RpcError, frame_write
from poolsite.wire.jsonrpc.server import Closed

WITHOUT_ALIAS: Final = frozenset(
    {
        "EthAddressToFilecoinAddress",
        "EthBaseFee",
        "EthGetBlockReceiptsLimited",
        "EthGetMessageCidByTransactionHash",
        "EthGetTransactionByHashLimited",
        "EthGetTransactionHashByCid",
        "EthGetTransactionReceiptLimited",
        "EthSendRawTransactionUntrusted",
    }
)
"""Methods for Ethereum tools that have Filecoin's name only."""
OTHERS: Final = {
    "net_version": "NetVersion",
    "net_listening": "NetListening",
    "web3_clientVersion": "Web3ClientVersion",
}
"""Aliases outside `eth_*`, traces apart."""
CALLBACK: Final = "eth_subscription"
KEY: Final = "eth_subscriptions"
"""Where a socket keeps its subscriptions."""
PAUSE_S: Final = 1.0
"""Between two attempts to subscribe at any node."""
SUBSCRIPTIONS_MAX: Final = 100
"""On one socket."""


def aliases() -> dict[str, str]:
    """Return Ethereum's names → the methods' own."""
    found = {alias: PREFIX + name for alias, name in OTHERS.items()}
    for name in LEVELS:
        if not name.startswith("Eth") or name in WITHOUT_ALIAS:
            continue
        suffix = name.removeprefix("Eth")
        prefix, own = (
            ("trace", suffix.removeprefix("Trace")) if suffix.startswith("Trace") else ("eth", suffix)
        )
        found[f"{prefix}_{own[0].lower()}{own[1:]}"] = PREFIX + name
    return found


def filter_method(
    method: str, *, is_missing: Callable[[Json], bool] = lambda _: False
) -> Callable[..., Json]:
    """Return a handler that calls node after node until one has the filter."""

    def handler(call: Call, *params: Json) -> Json:
        params_text(method, list(params))
        failure: NodeRefused | NodeUnavailable | None = None
        result: Json = None
        client = NODES.client(call.version)
        if not client.links:
            return client.call(method, *params)  # without a node, the client's own error says so
        for link in client.links:
            try:
                result = ChainClient([link]).call(method, *params)
            except (NodeRefused, NodeUnavailable) as error:
                failure = error
                continue
            if not is_missing(result):
                return result
        if failure is not None and result is None:
            raise refusal_of(failure) if isinstance(failure, NodeRefused) else failure
        return result

    return handler


async def subscribe(call: Call, *params: Json) -> Json:
    """Begin a subscription; its notifications come after the answer.  Raises RpcError."""
    if call.connection is None:
        raise RpcError("connection doesn't support callbacks")
    running: dict[str, asyncio.Task[None]] = call.connection.attachments.setdefault(KEY, {})
    if len(running) >= SUBSCRIPTIONS_MAX:
        raise RpcError(f"a socket can have at most {SUBSCRIPTIONS_MAX} subscriptions")
    params_text("EthSubscribe", list(params))
    socket, name = await node_subscribe(call.version, "EthSubscribe", list(params))
    name = str(name)
    feed = Feed(call.connection, call.version, list(params), name)
    task = asyncio.create_task(feed.run(socket, after=asyncio.current_task()))
    running[name] = task
    task.add_done_callback(lambda _: running.pop(name, None))
    return name


async def unsubscribe(call: Call, *params: Json) -> Json:
    """End a subscription of this socket; False if there is none."""
    running = {} if call.connection is None else call.connection.attachments.get(KEY, {})
    task = running.pop(params[0], None) if params and isinstance(params[0], str) else None
    if task is None:
        return False
    task.cancel()
    return True


class Feed:
    """One subscription of a caller: the notifications of whichever node gives them."""

    def __init__(self, caller: SocketState, version: str, params: list[Json], name: str) -> None:
        self.caller = caller
        self.version = version
        self.params = params
        self.name = name

    async def run(self, socket: NodeSocket, *, after: asyncio.Task[Any] | None) -> None:
        """Forward notifications until the caller is gone; `after`: the call whose answer comes first."""
        if after is not None:
            await asyncio.wait([after])
        at: NodeSocket | None = socket
        while self.caller.is_open:
            if at is None:
                await asyncio.sleep(PAUSE_S)
            else:
                try:
                    await self.forward(at)
                except Closed:
                    return
                finally:
                    await at.close()
            if self.caller.is_open:
                at = await self.again()

    async def again(self) -> NodeSocket | None:
        """Subscribe anew, perhaps at another node."""
        try:
            return (await node_subscribe(self.version, "EthSubscribe", self.params))[0]
        except RpcError:
            return None

    async def forward(self, socket: NodeSocket) -> None:
        """Forward one node's notifications until it ends, is not followed, or the caller ends.

        Raises Closed.
        """
        with suppress(*FAILURES):
            async for frame in frames_followed(socket, self.version):
                if not self.caller.is_open:
                    return
                if frame is not None and frame.get("method") == CALLBACK:
                    params = {"subscription": self.name, "result": frame["params"]["result"]}
                    body = {"jsonrpc": "2.0", "method": CALLBACK, "params": params}
                    await self.caller.send_text(frame_write(body))


HANDLERS: Final[dict[str, Callable[..., Any]]] = {
    "EthGetFilterChanges": filter_method("EthGetFilterChanges"),
    "EthGetFilterLogs": filter_method("EthGetFilterLogs"),
    "EthUninstallFilter": filter_method("EthUninstallFilter", is_missing=lambda result: result is not True),
    "EthSubscribe": subscribe,
    "EthUnsubscribe": unsubscribe,
}
"""Methods that are not just forwarded."""
ALIASES: Final = aliases()
