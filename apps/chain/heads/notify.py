"""Hearing of heads: a ChainNotify subscription over WebSocket, or asking every second where there is none.

Frames are hints only: what is applied and reverted is computed from our own table (`services.heads`).
Source: filecoin-project/go-jsonrpc websocket.go (xrpc.ch.val, xrpc.ch.close); lotus
node/impl/full/chain.go ChainNotify, chain/store/store.go SubHeadChanges.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.sync.client import ClientConnection

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.addresses import NodeAddress
from apps.chain.node.client import ChainClient
from apps.chain.node.sockets import node_socket_open_in_thread
from apps.chain.node.tipsets import TipsetFacts, tipset_from_json
from poolsite.wire.jsonrpc.client import channel_read, request_write, result_read
from poolsite.wire.jsonrpc.messages import RpcError

log = structlog.get_logger(__name__)

RETRY_S: Final = 1.0
"""Pause before the next connection."""

SILENCE_S: Final = 5.0
"""Without a frame for this long the head is asked for, so that a dead cable is noticed."""

RETURN_S: Final = 10.0
"""A node whose subscription was lost is left to others for this long, so that heads do not alternate."""

RETURN_MAX_S: Final = 600.0
"""Each return to such a node without a head from it doubles that time, up to this: heads stop meanwhile."""

POLL_S: Final = 1.0
"""How often a node without WebSocket is asked."""


class HeadListener:
    """Listens in a thread of its own and calls `on_head` with each new head and its node, on that thread."""

    def __init__(
        self,
        *,
        addresses: Callable[[], list[NodeAddress]],
        client: Callable[[NodeAddress], ChainClient],
        on_head: Callable[[TipsetFacts, NodeAddress], None],
    ) -> None:
        self._addresses = addresses
        self._client = client
        self._on_head = on_head
        self._stop = threading.Event()
        self._socket: ClientConnection | None = None
        self._thread = threading.Thread(target=self._run, name="heads", daemon=True)
        self.connected_to = ""
        """URL of the node that is listened to; empty while there is none."""
        self._moves = threading.Event()
        """Set to leave the node that is listened to for the first of the list."""
        self._lost_at: dict[str, float] = {}
        """By URL, the monotonic time at which listening to a node failed last."""
        self._pauses_s: dict[str, float] = {}
        """By URL, how long a node that was returned to is left to others; forgotten at a head from it."""

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and wait for the thread."""
        self._stop.set()
        socket = self._socket
        if socket is not None:
            socket.close()
        self._thread.join(timeout=10)

    def restrict_to(self, urls: list[str]) -> None:
        """Disconnect from a node that is none of these, the best first, or once a better one is back.

        Reads go to the best: it may not have the heads of another one yet.
        """
        followed = self.connected_to
        usable = [url for url in urls if url == followed or self._may_return(url)]
        if followed and followed not in usable[:1]:
            log.warning("chain_notify_changes_over", node=followed)
            for url in [] if self._moves.is_set() else usable[:1]:
                self._pauses_s[url] = min(2 * self._pauses_s.get(url, RETURN_S), RETURN_MAX_S)
            self._moves.set()
            socket = self._socket
            if socket is not None:
                socket.close()

    def _may_return(self, url: str) -> bool:
        lost_at = self._lost_at.get(url)
        return lost_at is None or time.monotonic() - lost_at >= self._pauses_s.get(url, RETURN_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            for address in self._addresses():
                if self._stop.is_set():
                    return
                if self._moves.is_set():
                    break
                try:
                    self._listen(address)
                except (WebSocketException, NodeUnavailable, NodeRefused, OSError) as error:
                    log.warning("chain_notify_lost", node=address.http_url, reason=str(error)[:200])
                except Exception:  # a frame that nobody can read must not leave the pool deaf
                    log.exception("chain_notify_lost", node=address.http_url)
                finally:
                    self.connected_to = ""
                    if not self._moves.is_set():
                        self._lost_at[address.http_url] = time.monotonic()
            if not self._moves.is_set():
                self._stop.wait(RETRY_S)
            self._moves.clear()

    def _listen(self, address: NodeAddress) -> None:
        try:
            link = node_socket_open_in_thread(address)
        except InvalidHandshake:  # it answers, but not as a WebSocket: a plain HTTP node or proxy
            self._poll(address)
            return
        with link as socket:
            self._socket = socket
            try:
                socket.send(json.dumps(request_write(1, "Filecoin.ChainNotify", [])))
                self.connected_to = address.http_url
                self._read(socket, address)
            finally:
                self._socket = None

    def _read(self, socket: ClientConnection, address: NodeAddress) -> None:
        """Pass heads on until the connection or the subscription ends."""
        while not self._stop.is_set():
            try:
                text = socket.recv(timeout=SILENCE_S)
            except TimeoutError:
                self._heard(self._client(address).chain_head(), address)
                continue
            frame = json.loads(text)
            try:
                result_read(frame)
            except RpcError as error:
                raise NodeRefused(error.code, error.message) from None
            is_open, values = channel_read(frame)
            if not is_open:
                return
            for changes in values:
                self._heard(self._newest(changes, address), address)

    def _heard(self, head: TipsetFacts, address: NodeAddress) -> None:
        self._pauses_s.pop(address.http_url, None)
        self._on_head(head, address)

    def _newest(self, changes: list[dict[str, Any]], address: NodeAddress) -> TipsetFacts:
        """Return the head after a list of changes; one of reverts alone does not name it."""
        last = changes[-1]
        if last["Type"] in ("apply", "current"):
            return tipset_from_json(last["Val"])
        return self._client(address).chain_head()

    def _poll(self, address: NodeAddress) -> None:
        client = self._client(address)
        key = ""
        while not self._stop.is_set() and not self._moves.is_set():
            head = client.chain_head()
            self.connected_to = address.http_url
            if head.key != key:
                key = head.key
                self._heard(head, address)
            self._stop.wait(POLL_S)


class LatestHead:
    """Holds the newest head that was heard, and of which node; the follower waits at it."""

    def __init__(self) -> None:
        self._filled = threading.Condition()
        self._received: tuple[TipsetFacts, NodeAddress] | None = None
        self.heard_at = 0.0
        """Monotonic time of the last head that the follower took from a node of our chain."""

    def put(self, facts: TipsetFacts, address: NodeAddress) -> None:
        """Replace what is in the box: only the newest head matters."""
        with self._filled:
            self._received = facts, address
            self._filled.notify_all()

    def take(self, timeout_s: float) -> tuple[TipsetFacts, NodeAddress] | None:
        """Empty the box, waiting for something in it; None when the time is over."""
        with self._filled:
            if self._received is None:
                self._filled.wait(timeout_s)
            received, self._received = self._received, None
            return received
