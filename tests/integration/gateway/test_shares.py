"""A gateway that floods a signer: what it gets, and how another gateway is served meanwhile."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from poolsite.filecoin.message import message_to_cbor
from tests import people
from tests.integration.gateway.conftest import connected
from tests.integration.gateway.hub import SECP, in_thread, message, sign
from workers.console.gateway import pack
from workers.signer.fair_share import Limits
from workers.signer.gateway import TOO_MANY, GatewayLink
from workers.signer.signing import Signer


class Flood:
    """A gateway of somebody else: it asks without end, reads the answers, and may keep quiet about them."""

    def __init__(self, *, total: int, is_quiet: bool = False) -> None:
        self.total = total
        self.is_quiet = is_quiet
        self.answers: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.is_open = asyncio.Event()
        self.is_enough = False
        self.asked = 0

    async def serve(self, socket: ServerConnection) -> None:
        listen = json.loads(await socket.recv())
        assert listen["method"] == "Gateway.ListenWalletEvent"
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": listen["id"], "result": 1}))
        init = {"Id": "0", "Method": "InitConnect", "Payload": pack({"ChannelId": "c"})}
        await socket.send(self.event(init))
        self.is_open.set()
        sending = asyncio.create_task(self.ask(socket))
        with contextlib.suppress(ConnectionClosed):
            async for data in socket:
                frame = json.loads(data)
                if frame["method"] == "Gateway.ResponseWalletEvent":
                    self.answers.append(frame["params"][0])
                    self.ids.append(frame["params"][0]["Id"])
                if not self.is_quiet:
                    await socket.send(json.dumps({"jsonrpc": "2.0", "id": frame["id"], "result": None}))
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    @property
    def signed(self) -> int:
        """How many of its requests were signed."""
        return sum(not answer["Error"] for answer in self.answers)

    @staticmethod
    def event(event: dict[str, Any]) -> str:
        return json.dumps({"jsonrpc": "2.0", "method": "xrpc.ch.val", "params": [1, event]})

    async def ask(self, socket: ServerConnection) -> None:
        one = message(value=1)
        meta = {"Type": "message", "Extra": base64.b64encode(message_to_cbor(one)).decode()}
        wanted = {"Signer": SECP, "ToSign": base64.b64encode(one.cid.data).decode(), "Meta": meta}
        payload = pack(wanted)
        for number in range(self.total):
            if self.is_enough:
                return
            await socket.send(self.event({"Id": str(number), "Method": "WalletSign", "Payload": payload}))
            self.asked += 1


@contextlib.asynccontextmanager
async def flooded(signer: Signer, flood: Flood, limits: Limits) -> AsyncIterator[GatewayLink]:
    """The signer with a link to a gateway that floods it."""
    async with serve(flood.serve, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        link = GatewayLink(signer, url=f"ws://127.0.0.1:{port}/rpc/v1", token=lambda: "x", limits=limits)
        running = asyncio.create_task(link.run())
        try:
            await asyncio.wait_for(flood.is_open.wait(), 60)
            yield link
        finally:
            flood.is_enough = True
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def until(happened: Any, *, patience_s: float = 60.0) -> None:
    """Wait for it."""
    async with asyncio.timeout(patience_s):
        while not happened():
            await asyncio.sleep(0.02)


async def test_what_finds_no_place_is_refused_in_words_and_all_else_is_signed(signer):
    flood = Flood(total=300)
    async with flooded(signer, flood, Limits(requests=20)) as link:
        await until(lambda: len(flood.answers) == 300)
        await until(lambda: link.share.requests == 0)

    errors = {answer["Error"] for answer in flood.answers}
    assert errors == {"", TOO_MANY}
    assert 20 <= flood.signed < 300
    assert sorted(map(int, flood.ids)) == list(range(300)), "each got one answer"
    assert link.share.size_bytes == 0


async def test_answers_that_nobody_takes_keep_their_places(signer):
    """A gateway that is quiet about answers must not make the signer remember each of them."""
    flood = Flood(total=200, is_quiet=True)
    async with flooded(signer, flood, Limits(requests=20)) as link:
        await until(lambda: len(flood.answers) == 200)

        kept = link.share.requests
        assert kept in (19, 20), "InitConnect may have a place yet when the flood begins"
        assert link.session is not None
        assert len(link.session.pending) == kept
        assert flood.signed == kept
    assert link.share.requests == 0, "the socket's end frees the room"


async def test_faster_than_the_pace_waits_and_nothing_is_lost(signer):
    flood = Flood(total=300, is_quiet=True)
    begin = time.monotonic()
    async with flooded(signer, flood, Limits(per_s=50)):
        await until(lambda: len(flood.answers) == 300)

    assert not any(answer["Error"] for answer in flood.answers)
    assert time.monotonic() - begin > 0.8  # 200 at once after a pause, 100 frames a second from then on
    assert signer.records.chain_verify() is None


async def test_large_requests_fill_the_room_by_their_bytes(signer, monkeypatch):
    monkeypatch.setattr("workers.signer.fair_share.BUDGET_BYTES", 5_000)
    flood = Flood(total=200, is_quiet=True)
    async with flooded(signer, flood, Limits()) as link:
        await until(lambda: len(flood.answers) == 200)

        assert 0 < link.share.requests < 20


@pytest.mark.django_db(transaction=True)
async def test_another_gateway_is_served_while_one_floods(web, signer):
    token = await in_thread(people.token)("read", scopes=["signer"])
    flood, between = Flood(total=10**9), []
    async with (
        asyncio.timeout(120),  # a machine that stands still fails it, and does not hold up all others
        connected(signer, web, token),
        flooded(signer, flood, Limits(requests=2000)) as link,
    ):
        await until(lambda: link.share.requests > 1000 or len(flood.answers) > 2000)
        before = flood.asked
        for nonce in range(30):
            signed = flood.signed
            assert await sign(message(nonce=nonce, value=1))
            between.append(flood.signed - signed)
        asked = flood.asked - before

    assert asked > len(between), "the flood went on meanwhile"
    # Counted, not timed: behind the flood's queue it would have waited for all of that.
    assert statistics.median(between) < 1000
