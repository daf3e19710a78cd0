"""A second node on the same devnet: it takes blocks and messages from the first and checks them all itself.

node = replica_open(path, "http://127.0.0.1:1234/rpc/v1")
with Replica(node, url):           # follows until closed; redials when the first node is away
    ...
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from poolsite.devnet.clock import WallClock
from poolsite.devnet.executed_tipset import NoTipset
from poolsite.devnet.genesis_bundle import bundle_from_json
from poolsite.devnet.header_checks import BadBlock
from poolsite.devnet.mempool import MessageRejected
from poolsite.devnet.node import Devnet
from poolsite.devnet.production import FullBlock
from poolsite.filecoin.block import BlockMsg
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.message import (
    SignedMessage,
    signed_message_from_cbor,
    signed_message_from_json,
    signed_message_to_json,
)
from poolsite.filecoin.tipset import Tipset, TipsetKey, tipset_from_json, tipset_key_to_json
from poolsite.wire.jsonrpc.client import request_write
from poolsite.wire.jsonrpc.messages import CHANNEL_VALUE

if TYPE_CHECKING:
    from poolsite.devnet.clock import Clock
    from poolsite.filecoin.cids import Cid

log = logging.getLogger(__name__)

REDIAL_S: Final = 0.5
CALL_TIMEOUT_S: Final = 30
MAX_FRAME_BYTES: Final = 64 << 20


class Primary:
    """The first node's JSON-RPC, as far as a replica needs it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(timeout=CALL_TIMEOUT_S)

    def call(self, method: str, *params: Any) -> Any:
        """One call.  Raises httpx.HTTPError, LookupError with the node's words."""
        request = request_write(1, method, params)
        response = self._http.post(self.url, json=request).json()
        if "error" in response:
            raise LookupError(response["error"]["message"])
        return response["result"]

    def tipset(self, key: TipsetKey) -> Tipset:
        """Return a tipset by key."""
        return tipset_from_json(self.call("Filecoin.ChainGetTipSet", tipset_key_to_json(key)))

    def block_messages(self, cid: Cid) -> tuple[list[SignedMessage], list[SignedMessage]]:
        """Return a block's BLS messages and its others, all signed."""
        bls, secpk = self.call("Devnet.BlockMessages", cid_to_json(cid))
        return [_signed(text) for text in bls], [_signed(text) for text in secpk]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _signed(text: str) -> SignedMessage:
    return signed_message_from_cbor(bytes.fromhex(text))


def replica_open(path: Path | str, url: str, *, clock: Clock | None = None) -> Devnet:
    """Open the replica's file; a new one begins with the first node's genesis.  Raises httpx.HTTPError."""
    primary = Primary(url)
    try:
        bundle = bundle_from_json(primary.call("Devnet.GenesisBundle"))
    finally:
        primary.close()
    node = Devnet(path, clock=clock or WallClock(), bundle=bundle)
    node.faults.mining = "paused"
    return node


class Replica:
    """Keeps a node at the head of another one."""

    def __init__(self, node: Devnet, url: str) -> None:
        self.node = node
        self.primary = Primary(url)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="devnet-replica", daemon=True)
        node.forward = self._forward

    def __enter__(self) -> Replica:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(CALL_TIMEOUT_S)
        self.node.forward = None
        self.primary.close()

    def _forward(self, signed: SignedMessage) -> None:
        """Pass on a message that was pushed here.  Raises MessageRejected."""
        try:
            self.primary.call("Filecoin.MpoolPush", signed_message_to_json(signed))
        except LookupError as error:
            raise MessageRejected(str(error)) from None
        except httpx.HTTPError:
            log.warning("replica cannot forward %s now", signed.cid)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except (OSError, WebSocketException, httpx.HTTPError, LookupError, BadBlock) as error:
                log.info("replica reconnects: %s", error)
            self._stopping.wait(REDIAL_S)

    def _follow(self) -> None:
        """Subscribe, catch up, and take each head that comes."""
        url = self.primary.url.replace("http", "ws", 1)
        with connect(url, max_size=MAX_FRAME_BYTES) as socket:
            for number, method in ((1, "Filecoin.ChainNotify"), (2, "Filecoin.MpoolSub")):
                request = request_write(number, method, [])
                socket.send(json.dumps(request))
            handlers: dict[int, Callable[[Any], None]] = {}
            while not self._stopping.is_set():
                try:
                    frame = json.loads(socket.recv(timeout=REDIAL_S))
                except TimeoutError:
                    continue  # nothing has come: only whether to stop is looked at
                self._frame_handle(frame, handlers)

    def _frame_handle(self, frame: dict[str, Any], handlers: dict[int, Callable[[Any], None]]) -> None:
        if frame.get("id") in (1, 2):
            handlers[frame["result"]] = self._heads if frame["id"] == 1 else self._pool
        elif frame.get("method") == CHANNEL_VALUE:
            channel, value = frame["params"]
            handlers[channel](value)

    def _heads(self, changes: list[dict[str, Any]]) -> None:
        for change in changes:
            if change["Type"] != "revert":
                self._tipset_import(tipset_from_json(change["Val"]))

    def _tipset_import(self, tipset: Tipset) -> None:
        """Import a tipset, and before it all its ancestors that are not stored."""
        missing = [tipset]
        while not self._is_stored(missing[-1].parents):
            missing.append(self.primary.tipset(missing[-1].parents))
        for entry in reversed(missing):
            for header in entry.blocks:
                bls, secpk = self.primary.block_messages(header.cid)
                block = BlockMsg(header, tuple(m.cid for m in bls), tuple(m.cid for m in secpk))
                full = FullBlock(block, tuple(bls), tuple(secpk))
                self.node.clock.not_before(header.timestamp)
                self.node.block_submit(full, now=header.timestamp)

    def _is_stored(self, key: TipsetKey) -> bool:
        try:
            self.node.chain.link(key)
        except NoTipset:
            return False
        return True

    def _pool(self, update: dict[str, Any]) -> None:
        if update["Type"] == 0:
            try:
                self.node.mempool.push(signed_message_from_json(update["Message"]))
            except MessageRejected:
                return  # it is here already, or landed meanwhile
