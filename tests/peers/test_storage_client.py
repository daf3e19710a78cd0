"""go-libp2p with boostly's types at our door of market 1.2: connects, proposes, asks for status and terms."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connections

from apps.api.mk12 import answers
from apps.api.mk12.answers import Door
from apps.api.mk12.peer_keys import door_socket_path
from apps.api.mk12.streams import Streams
from apps.market.models import Deal
from apps.market.services.markets import market_set
from apps.market.services.transfers import places_decode
from poolsite.filecoin.keys import key_sign
from poolsite.filecoin.signature import Signature
from poolsite.filecoin.storage_market import ASK_RESPONSE, map_decode
from poolsite.libp2p.identity import Identity, peer_id_text
from poolsite.libp2p.listener import Listener
from poolsite.private_files import private_folder
from tests import factories, people
from tests.certificate import Certificate
from tests.hub import WebProcess
from tests.mk12 import Chain
from tests.peers.programs import go_program
from tests.unit.devnet.people import WORKER

pytestmark = [pytest.mark.peer, pytest.mark.django_db(transaction=True)]

IDENTITY = Identity.of_seed(bytes(range(32)))
CLIENT_S = 120


def sign(*, to_sign: bytes, **_: Any) -> Signature:
    return key_sign(WORKER.key, to_sign)


@pytest.fixture
def door(settings: Any, tmp_path: Path) -> Iterator[str]:
    """The door of f01000, which is open; its multiaddress."""
    settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE, settings.VAR = str(tmp_path), True, tmp_path
    factories.head(1000)
    miner = factories.miner(1000, worker=str(WORKER.address))
    market_set(miner, values={"is_open": True, "takes_libp2p": True}, by=people.principal())
    streams = Streams(Door("f01000", http_addresses=(bytes.fromhex("047f000001061f40e003"),)))
    loop, opened, ports = asyncio.new_event_loop(), threading.Event(), list[int]()
    listener = Listener(IDENTITY, streams.protocols, agent="poolsite")

    async def begin() -> None:
        private_folder(door_socket_path("f01000").parent)
        await listener.open_local(door_socket_path("f01000"))
        ports.append(await listener.open("127.0.0.1", 0))
        opened.set()

    def run() -> None:
        loop.run_until_complete(begin())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    with patch.object(answers, "page_client", Chain), patch.object(answers, "bytes_sign", sign):
        thread.start()
        assert opened.wait(10)
        yield f"/ip4/127.0.0.1/tcp/{ports[0]}/p2p/{peer_id_text(IDENTITY.peer_id)}"
        asyncio.run_coroutine_threadsafe(listener.close(), loop).result(10)
        streams.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
    connections.close_all()


@pytest.fixture
def web_door(door: str, tmp_path: Path) -> Iterator[str]:
    """The same door behind the console's port, where it has TLS."""
    certificate = Certificate(tmp_path, name="localhost")
    web = WebProcess(certificate)
    web.start()
    yield f"/dns4/localhost/tcp/{web.port}/wss/p2p/{peer_id_text(IDENTITY.peer_id)}"
    web.stop()


def test_a_go_client_makes_deals_over_web_sockets(go: None, web_door: str, tmp_path: Path) -> None:
    client_makes_deals(web_door, "ed25519", "noise", SSL_CERT_FILE=str(tmp_path / "server.pem"))


@pytest.mark.parametrize("security", ["noise", "tls"])
@pytest.mark.parametrize("key", ["ed25519", "secp256k1", "rsa", "ecdsa"])
def test_a_go_client_makes_deals_and_follows_them(go: None, door: str, key: str, security: str) -> None:
    client_makes_deals(door, key, security)


def client_makes_deals(door: str, key: str, security: str, **environment: str) -> None:
    program = go_program("storage")
    done = subprocess.run(
        [str(program), door, key, security],
        capture_output=True,
        text=True,
        timeout=CLIENT_S,
        check=False,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = {row["step"]: row for row in map(json.loads, done.stdout.splitlines())}

    identify = steps["identify"]
    assert (identify["security"], identify["muxer"], identify["agent"]) == (
        {"noise": "/noise", "tls": "/tls/1.0.0"}[security],
        "/yamux/1.0.0",
        "poolsite",
    )
    assert {"/fil/storage/mk/1.2.0", "/fil/storage/status/1.2.0"} <= set(identify["protocols"])
    for step in ("propose", "again", "newer"):
        assert (steps[step]["accepted"], steps[step]["message"]) == (True, "")
    assert steps["newer"]["protocol"] == "/fil/storage/mk/1.2.1"
    assert steps["bad signature"]["message"].startswith("deal signature verification failed")
    deals = Deal.objects.order_by("pk")
    assert [str(deal.uuid) for deal in deals] == [steps["propose"]["deal"], steps["newer"]["deal"]]
    [place] = places_decode(deals[0])
    assert (place.url, place.headers) == ("http://127.0.0.1:9/x.car", (("Authorization", "Bearer t"),))
    status = steps["status"]["answer"]
    assert status["DealStatus"]["Status"] == "Accepted"
    assert status["DealStatus"]["Proposal"]["Label"] == "first"
    assert steps["transports"]["answer"]["protocols"][0]["name"] == "http"
    ask = map_decode(bytes.fromhex(steps["ask"]["answer"]), ASK_RESPONSE)["Ask"]
    assert ask["Ask"]["MaxPieceSize"] == 2048
    assert isinstance(ask["Signature"], Signature)
    assert "protocols not supported" in steps["unknown"]["error"]
