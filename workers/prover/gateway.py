"""The prover's end of a gateway: for each miner whose sectors its store holds, a channel of proof events.

Source: ipfs-force-community/sophon-gateway proofevent/; filecoin-project/go-jsonrpc websocket.go.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from poolsite.tracing import span
from poolsite.wire.jsonrpc.channels import Channels
from poolsite.wire.origins import TRACE_FIELD
from workers.config import host_name
from workers.console.gateway import LISTEN_PAUSE_S, GatewaySocket, dial_forever, pack, unpack
from workers.processors.errors import ProcessorError

log = structlog.get_logger(__name__)

REFUSED_PAUSE_S: Final = 10.0
"""Before a miner is offered again that the gateway did not take."""
CHECK_EVERY_S: Final = 5.0
"""How often the store is looked at for miners."""
LATE_EPOCHS: Final = 1
"""A block is signed before the next epoch's blocks are made: what was asked for longer ago is lost."""
CALL_S: Final = 30.0
TURN_S: Final = 60.0
"""Longest that other wins wait for one: by then its block is lost."""

Json = Any


class GatewayRefused(Exception):
    """The gateway answered a call with an error."""


def gateway_url(console: str) -> str:
    """Return the gateway's address at a console's."""
    parts = urlsplit(console)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, "/rpc/v1", "", ""))


async def in_daemon_thread(work: Callable[[], Json]) -> Json:
    """Return what `work` gives; the program's end does not wait for it, as it may hang in a disk."""
    answer: Future[Json] = Future()

    def run() -> None:
        answer.set_running_or_notify_cancel()
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            answer.set_exception(error)

    threading.Thread(target=run, name="win", daemon=True).start()
    return await asyncio.wrap_future(answer)


class ProofLine:
    """One gateway, dialled for ever from a thread of its own."""

    def __init__(
        self,
        *,
        url: str,
        token: Callable[[], str],
        miners: Callable[[], set[int]],
        compute: Callable[[int, Json], Json],
        host: str = "",
    ) -> None:
        self.url = url
        self.host = host or host_name()
        """By which the console knows which host's role lets it prove; other gateways do not look at it."""
        self.token = token
        """Asked at each dial."""
        self.miners = miners
        """Ids of the miners to prove for, asked again now and then."""
        self.compute = compute
        """Answers a ComputeProofRequest for a miner.  Raises ProcessorError, OSError."""
        self.answering = 0
        """Requests whose answer has not left yet: a program that ends now loses a block."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._work, name="proof-line", daemon=True)

    def start(self) -> None:
        """Begin to dial."""
        self._thread.start()

    def stop(self) -> None:
        """Close the connection."""
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            loop.call_soon_threadsafe(task.cancel)
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _work(self) -> None:
        async def main() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            await self.run()

        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            log.info("gateway_left", url=self.url)

    async def run(self) -> None:
        """Keep a socket open until cancelled."""
        await dial_forever(self.url, token=self.token, serve=self.serve)

    async def serve(self, socket: ClientConnection) -> None:
        """Answer on one socket until it ends."""
        await ProofSession(self, socket).run()


class ProofSession(GatewaySocket):
    """One socket to a gateway."""

    def __init__(self, line: ProofLine, socket: ClientConnection) -> None:
        super().__init__(socket, url=line.url, refused=GatewayRefused, call_s=CALL_S)
        self.line = line
        self.channels = Channels(self.handle)
        """Of the miners that this prover listens for."""
        self.listeners: dict[int, asyncio.Task[None]] = {}
        self.opened: dict[int, int] = {}
        """The newest call by miner that has opened its channel, or will."""
        self.turn = asyncio.Lock()
        """One proof at a time, as the Go client has it, but for one that hangs."""
        self.waiting: dict[int, list[int]] = {}
        """Epochs of the wins that wait for their turn, by miner."""

    async def run(self) -> None:
        """Read until the socket ends.  Raises ConnectionClosed."""
        watching = asyncio.create_task(self.watch())
        try:
            async for data in self.socket:
                self.channels.receive(self.receive(data))
            raise ConnectionClosed(None, None)
        finally:
            tasks = (watching, *self.listeners.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, self.channels.end(), return_exceptions=True)

    async def watch(self) -> None:
        """Listen for each miner of the store, for new ones soon."""
        while True:
            try:
                wanted = await asyncio.to_thread(self.line.miners)
            except OSError as error:
                log.warning("store_unread", reason=str(error))
                wanted = set(self.listeners)
            for miner in sorted(wanted - set(self.listeners)):
                self.listeners[miner] = asyncio.create_task(self.listen_forever(miner))
            for miner in set(self.listeners) - wanted:  # without this wins would wait for an answer of ours
                self.listeners.pop(miner).cancel()
                if (number := self.opened.pop(miner, None)) is not None:
                    await self.cancel(number)
                log.info("miner_left", url=self.line.url, miner=miner)
            await asyncio.sleep(CHECK_EVERY_S)

    async def listen_forever(self, miner: int) -> None:
        """Open a miner's channel; open it again when the gateway closes it."""
        reported = ""
        while True:
            pause_s = LISTEN_PAUSE_S
            try:
                policy = {"MinerAddress": f"f0{miner}", "Host": self.line.host}
                number = self.opened[miner] = next(self.numbers)
                channel = await self.call("Gateway.ListenProofEvent", policy, number=number)
                await self.channels.follow(channel, miner)
                reported = ""
            except (GatewayRefused, TimeoutError) as error:
                if reported != str(error):  # once: another tenant's is asked for on and on
                    log.warning("miner_not_taken", url=self.line.url, miner=miner, reason=str(error))
                reported, pause_s = str(error), REFUSED_PAUSE_S
            await asyncio.sleep(pause_s)

    async def handle(self, miner: int, event: dict[str, Json]) -> None:
        """Answer one event."""
        method = event.get("Method")
        if method == "InitConnect":
            log.info("gateway_connected", url=self.line.url, miner=miner)
            return
        self.line.answering += 1
        try:
            await self.request_handle(miner, str(method), event)
        finally:
            self.line.answering -= 1

    async def request_handle(self, miner: int, method: str, event: dict[str, Json]) -> None:
        """Do what a request asks, and answer it."""
        answer: dict[str, Json] = {"Id": event.get("Id"), "Payload": None, "Error": ""}
        try:
            with span(f"prover {method}"[:60], entry=str(event.get(TRACE_FIELD, ""))):
                answer["Payload"] = pack(await self.answer(miner, method, event.get("Payload")))
        except (ProcessorError, OSError) as error:
            log.warning("proof_not_made", miner=miner, reason=str(error)[:300])
            answer["Error"] = str(error)[:300] or type(error).__name__
        try:
            await self.call("Gateway.ResponseProofEvent", answer)
        except (GatewayRefused, TimeoutError, ConnectionClosed) as error:
            log.warning("answer_not_taken", request=event.get("Id"), reason=str(error))

    async def answer(self, miner: int, method: str, payload: Json) -> Json:
        """Do what an event asks.  Raises ProcessorError, OSError."""
        if method != "ComputeProof":
            raise ProcessorError(f"unexpect proof type {method[:40]}")
        try:
            request = unpack(payload)
        except ValueError as error:
            raise ProcessorError(str(error)) from None
        height = request.get("Height") if isinstance(request, dict) else None
        epoch = height if isinstance(height, int) else 0
        waiting = self.waiting.setdefault(miner, [])
        waiting.append(epoch)
        try:
            await self.turn.acquire()
        finally:
            waiting.remove(epoch)
        try:
            late = max(waiting, default=epoch) - epoch
            if epoch and late > LATE_EPOCHS:
                # Who requested it has gone, and those behind would come too late as well.
                raise ProcessorError(f"a win from {late} epochs later is waiting: this one is too late")
            proving = asyncio.create_task(in_daemon_thread(partial(self.line.compute, miner, request)))
            # A file may never be read, as on a dead server: those behind do not wait for that.
            await asyncio.wait({proving}, timeout=TURN_S)
        finally:
            self.turn.release()
        return await proving
