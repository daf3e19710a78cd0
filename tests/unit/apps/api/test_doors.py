"""The doors of a machine: which it serves, one process at a time, and what it says of them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection

from apps.api.mk12 import doors as module
from apps.api.mk12.doors import Doors, answers, plan_of
from apps.api.mk12.peer_keys import BadPeerKey, identity_read
from apps.api.mk12.web_socket import deal_socket
from apps.core import clock
from apps.core.errors import BadValue
from apps.market.models import AdChain, Advertisement, MinerDoor, MinerMarket
from apps.market.selectors.deals import DOOR_SILENCE, doors_status
from apps.market.services.markets import market_set
from apps.miners.models import Miner, Role
from apps.miners.services.roles import RoleGrant
from apps.miners.states import ROLE_LEASE_S, RoleKind, RoleState
from apps.sectors.services.roles.assignments import host_role_assign, host_role_remove
from apps.users.rules.principals import SYSTEM
from poolsite.embedded.paths import SITE
from poolsite.filecoin import cbor
from poolsite.filecoin.multiaddr import multiaddr_encode, multiaddr_parse
from poolsite.libp2p.identity import Identity
from poolsite.libp2p.multistream import HELLO
from tests import factories, people
from tests.libp2p_client import Client, connections_close
from tests.servers import port_free

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "TURN_S", 0.05)
    monkeypatch.setattr(module, "WAIT_S", 0.02)
    monkeypatch.setattr(module, "RENEW_S", 0.05)
    monkeypatch.setattr(module, "ANYWHERE", "127.0.0.1")
    settings.VAR = tmp_path


@pytest.fixture
def miner() -> Miner:
    row = factories.miner(2001)
    market_set(row, values={"takes_libp2p": True, "libp2p_port": port_free()}, by=people.principal())
    return row


def assign(miner: Miner, host: str) -> None:
    grant = RoleGrant(host=host, kind=RoleKind.DEAL)
    host_role_assign(miner, grant=grant, principal=SYSTEM, now=clock.now())


def port_of(miner: Miner) -> int:
    return MinerMarket.objects.get(miner=miner).libp2p_port


def reason_of(miner: Miner) -> str:
    return str(MinerDoor.objects.get(miner=miner).reason)


def status_of(miner: Miner) -> str:
    market = MinerMarket.objects.get(miner=miner)
    return doors_status([market], now=clock.now())[miner.pk].reason


async def until(holds: Callable[[], Any]) -> None:
    """Wait for what other threads do."""
    async with asyncio.timeout(20):
        while not await sync_to_async(holds)():
            await asyncio.sleep(0.02)


class Running:
    """Doors in a task of their own, until the end of the block."""

    def __init__(self, host: str = "a") -> None:
        self.said: list[str] = []
        self.doors = Doors(host=host, say=self.said.append)
        self.is_stopped = False

    async def __aenter__(self) -> Running:
        self.task = asyncio.create_task(self.doors.run(asked_to_stop=lambda: self.is_stopped))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_stopped = True
        await self.task
        await connections_close()


def play(game: Callable[[], Any]) -> None:
    asyncio.run(game())


def test_a_door_is_served_while_it_is_switched_on(miner: Miner, tmp_path: Path) -> None:
    async def game() -> None:
        async with Running() as one:
            await until(lambda: MinerDoor.objects.filter(reason="").exists())
            client = await Client.connect(port_of_miner)
            assert await client.ask("/fil/retrieval/transports/1.0.0")
            assert await sync_to_async(status_of)(miner) == ""
            await sync_to_async(market_set)(miner, values={"libp2p_port": other}, by=SYSTEM)
            while not await answers("127.0.0.1", other):
                await asyncio.sleep(0.02)
            assert not await answers("127.0.0.1", port_of_miner)
            await sync_to_async(market_set)(miner, values={"takes_libp2p": False}, by=SYSTEM)
            while await answers("127.0.0.1", other):
                await asyncio.sleep(0.02)
        assert one.said[-1] == f"deals of {miner}: closed"

    port_of_miner, other = port_of(miner), port_free()
    play(game)

    assert MinerDoor.objects.get().peer_id == identity_read(tmp_path / "peers" / "f02001.key").text


@pytest.mark.parametrize(
    ("is_served", "url", "named"),
    [
        (True, "https://pool.example", "/dns/pool.example/tcp/443/https"),
        (False, "https://pool.example", ""),
        (True, "http://127.0.0.1:8000", ""),
    ],
    ids=["served", "not served", "nobody reaches it"],
)
def test_a_door_names_where_data_are_served_over_http(
    miner: Miner, settings: Any, url: str, named: str, *, is_served: bool
) -> None:
    settings.CONSOLE_URL, settings.PIECE_URLS_PRIVATE = url, False
    market_set(miner, values={"serves_data": is_served}, by=people.principal())

    async def game() -> None:
        async with Running():
            await until(lambda: MinerDoor.objects.filter(reason="").exists())
            client = await Client.connect(port_of_miner)
            documents.append(cbor.decode(await client.ask("/fil/retrieval/transports/1.0.0")))

    port_of_miner, documents = port_of(miner), list[Any]()
    play(game)

    addresses = [multiaddr_encode(multiaddr_parse(named))] if named else []
    assert documents == [{"Protocols": [{"Name": "http", "Addresses": addresses}] if named else []}]


class WebSocket:
    """A client's socket at a web process, from 9.9.9.9."""

    def __init__(self, host: str) -> None:
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        headers = [(b"Host", host.encode())]
        scope = {"type": "websocket", "headers": headers, "client": ("9.9.9.9", 5)}
        self.events.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(deal_socket(scope, self.events.get, self.sent.put))

    def send(self, data: bytes) -> None:
        self.events.put_nowait({"type": "websocket.receive", "bytes": data, "text": None})


def test_web_sockets_lead_to_the_door_that_the_host_name_means(miner: Miner) -> None:
    async def game() -> None:
        async with Running() as one:
            await until(lambda: MinerDoor.objects.filter(reason="").exists())
            [door] = one.doors._open.values()
            for host in ("pool.example", "f02001.pool.example:443"):
                socket = WebSocket(host)
                assert (await socket.sent.get())["type"] == "websocket.accept"
                socket.send(HELLO)
                answer = await socket.sent.get()
                assert answer == {"type": "websocket.send", "bytes": HELLO}
                [connection] = [open_ for open_ in door.listener.connections if open_.source == "9.9.9.9"]
                socket.events.put_nowait({"type": "websocket.disconnect"})
                await socket.task
                while connection in door.listener.connections:
                    await asyncio.sleep(0.02)
            await sync_to_async(another_door)()
            refused = WebSocket("pool.example")
            await refused.task
            assert refused.sent.get_nowait()["type"] == "websocket.close"
            left = WebSocket("f02001.pool.example")
            assert (await left.sent.get())["type"] == "websocket.accept"
            assert (await left.sent.get())["bytes"] == HELLO
            one.is_stopped = True
            assert await left.sent.get() == {"type": "websocket.close", "code": 1000}
        shut = WebSocket("f02001.pool.example")
        await shut.task
        assert shut.sent.get_nowait()["type"] == "websocket.close"

    def another_door() -> None:
        values = {"takes_libp2p": True, "libp2p_port": port_free()}
        market_set(factories.miner(2002), values=values, by=people.principal())

    play(game)


def test_one_process_serves_a_door_and_another_takes_over(miner: Miner) -> None:
    async def game() -> None:
        async with Running("a") as first:
            await until(lambda: MinerDoor.objects.filter(host="a", reason="").exists())
            async with Running("b") as second:
                await until(lambda: bool(second.said))
                assert second.said == [f"another process serves the door of {miner}: waiting"]
                first.is_stopped = True
                await first.task
                await until(lambda: MinerDoor.objects.filter(host="b", reason="").exists())

    play(game)

    assert reason_of(miner) == "its process was stopped"
    assert status_of(miner) == "its process was stopped"


def test_only_the_host_with_the_role_serves(miner: Miner) -> None:
    async def game() -> None:
        async with Running("a") as first, Running("b") as second:
            await until(lambda: MinerDoor.objects.filter(host="b", reason="").exists())
            assert first.said == [f"a does not hold the role Deal of {miner}: waiting"]
            await sync_to_async(host_role_remove)(
                miner, host="b", kind=RoleKind.DEAL, principal=SYSTEM, now=clock.now()
            )
            await until(lambda: "waiting" in second.said[-1])
            await until(lambda: MinerDoor.objects.filter(host="a", reason="").exists())

    assign(miner, "b")
    assert Doors(host="b")._roles_barred([miner]) == set()
    assign(miner, "a")
    play(game)


def test_a_silent_door_is_said_to_be_down(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status_of(miner) == "no process serves it"
    factories_said = {"host": "a", "port": 1, "said_at": clock.now()}
    MinerDoor.objects.create(miner=miner, **factories_said)
    assert status_of(miner) == ""

    later = clock.now() + DOOR_SILENCE
    monkeypatch.setattr("apps.core.clock.now", lambda: later)

    assert status_of(miner) == "its process on a is silent"
    assign(miner, "z")
    assert status_of(miner) == "the role Deal is given to z, and no door runs there"


def test_a_key_that_clients_know_is_not_replaced(miner: Miner, tmp_path: Path) -> None:
    old = clock.now() - DOOR_SILENCE
    MinerDoor.objects.create(miner=miner, host="gone", port=1, peer_id="12D3KooW", said_at=old)

    async def game() -> None:
        async with Running():
            await until(lambda: reason_of(miner))

    play(game)

    row = MinerDoor.objects.get()
    assert "f02001.key is missing, the peer key 12D3KooW that gone had" in str(row.reason)
    assert (row.peer_id, row.host) == ("12D3KooW", "gone")
    assert not list((tmp_path).glob("peers/*.key"))


def test_another_key_than_clients_know_is_not_served_unasked(miner: Miner, tmp_path: Path) -> None:
    """As that of a machine that served before: clients look for the peer id of the other."""
    own = identity_read(tmp_path / "peers" / "f02001.key").text
    old = clock.now() - DOOR_SILENCE
    MinerDoor.objects.create(miner=miner, host="b", port=1, peer_id="12D3KooW", said_at=old)

    async def game() -> None:
        async with Running():
            await until(lambda: reason_of(miner))
            assert await sync_to_async(reason_of)(miner) == (
                f"{tmp_path}/peers/f02001.key is the peer key {own}, and clients know 12D3KooW, which b had: "
                "copy that one there, or keep the new one by manage.py deal_door f02001"
            )
            asked = Running()
            asked.doors.plan = replace(plan_of(market), makes_key=True)
            async with asked:
                await until(lambda: MinerDoor.objects.filter(peer_id=own, reason="").exists())
            await until(lambda: MinerDoor.objects.filter(host="a", reason="").exists())

    market = MinerMarket.objects.select_related("miner__tenant").get()
    play(game)


def test_what_serves_by_a_key_of_its_own_is_not_said_to_lack_the_page_s(miner: Miner) -> None:
    MinerDoor.objects.create(miner=miner, host="a", port=1, peer_id="12D3KooW", said_at=clock.now())

    assert Doors(host="a")._plans() == {}

    assert (reason_of(miner), status_of(miner)) == ("", "")


def test_a_machine_that_cannot_open_a_door_leaves_it_to_another(miner: Miner, tmp_path: Path) -> None:
    async def game() -> None:
        async with Running("a") as first:
            await until(lambda: bool(first.said))
            async with Running("b") as second:
                second.doors.plan = replace(plan_of(market), key=tmp_path / "b.key")
                await until(lambda: MinerDoor.objects.filter(host="b", reason="").exists())

    key = tmp_path / "peers" / "f02001.key"
    identity_read(key)
    key.chmod(0o644)
    market = MinerMarket.objects.select_related("miner__tenant").get()
    play(game)


def test_a_database_that_goes_away_between_two_reads_ends_nothing(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(module, "doors_reported", away)

    assert Doors(host="a")._plans() == {}


def test_a_port_that_is_taken_is_said_and_tried_again(miner: Miner) -> None:
    async def game() -> None:
        with socket.create_server(("127.0.0.1", port_of_miner)):
            running = Running()
            await running.__aenter__()
            await until(lambda: MinerDoor.objects.exists())
            assert "it cannot listen on port" in await sync_to_async(reason_of)(miner)
        await until(lambda: reason_of(miner) == "")
        await running.__aexit__()

    port_of_miner = port_of(miner)
    play(game)


def test_two_doors_have_two_ports(miner: Miner) -> None:
    other = factories.miner(2002)
    values = {"takes_libp2p": True, "libp2p_port": port_of(miner)}

    with pytest.raises(BadValue, match="another miner's door listens on this port"):
        market_set(other, values=values, by=people.principal())
    market_set(other, values=values | {"takes_libp2p": False}, by=people.principal())


def test_one_host_holds_the_role_and_another_takes_over(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in ("a", "b"):
        assign(miner, host)

    assert [Doors(host=host)._roles_barred([miner]) for host in ("a", "b")] == [set(), {miner.pk}]

    later = clock.now() + timedelta(seconds=2 * ROLE_LEASE_S)
    monkeypatch.setattr("apps.core.clock.now", lambda: later)
    assert [Doors(host=host)._roles_barred([miner]) for host in ("b", "a")] == [set(), {miner.pk}]


def test_a_door_keeps_no_role_of_another_miner(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    other = factories.miner(2002)
    for of, host in ((miner, "a"), (other, "a"), (other, "b")):
        assign(of, host)
        Doors(host=host)._roles_barred([of])
    later = clock.now() + timedelta(seconds=2 * ROLE_LEASE_S)
    monkeypatch.setattr("apps.core.clock.now", lambda: later)

    assert Doors(host="a")._roles_barred([miner]) == set()
    assert Doors(host="b")._roles_barred([other]) == set()


def test_the_peers_key_is_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "door" / "peer.key"

    first, second = identity_read(path), identity_read(path)

    assert first.peer_id == second.peer_id
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(BadPeerKey, match="others can read its peer key"):
        identity_read(path)
    path.chmod(0o600)
    path.write_text("nothing")
    with pytest.raises(BadPeerKey, match="holds no peer key"):
        identity_read(path)


def test_a_chain_that_cannot_be_signed_closes_no_door(miner: Miner, tmp_path: Path) -> None:
    async def game() -> None:
        async with Running():
            await until(lambda: MinerDoor.objects.filter(reason="").exists())
            await sync_to_async(make)(2)
            seen = clock.now() + timedelta(seconds=0.3)
            await until(lambda: MinerDoor.objects.filter(reason="", said_at__gt=seen).exists())
            await sync_to_async(make)(1)
            await until(lambda: AdChain.objects.filter(length=2).exists())

    def make(number: int) -> None:
        own = identity_read(tmp_path / "peers" / "f02001.key")
        chain, _ = AdChain.objects.get_or_create(miner=miner, peer_id=own.text)
        Advertisement.objects.create(
            chain=chain, number=number, kind="ADDRESSES", addresses=["/dns/a.example/tcp/443/https"]
        )

    play(game)


def test_an_open_door_signs_the_advertisements_of_its_key(miner: Miner, tmp_path: Path) -> None:
    async def game() -> None:
        async with Running():
            await until(lambda: MinerDoor.objects.filter(reason="").exists())
            await sync_to_async(make)()
            await until(lambda: AdChain.objects.filter(peer_id=own.text, length=2).exists())

    def make() -> None:
        for identity in (own, Identity.of_seed(bytes(32))):
            chain = AdChain.objects.create(miner=miner, peer_id=identity.text)
            for number in (1, 2):
                Advertisement.objects.create(
                    chain=chain, number=number, kind="ADDRESSES", addresses=["/dns/a.example/tcp/443/https"]
                )

    own = identity_read(tmp_path / "peers" / "f02001.key")
    play(game)

    chain, other = AdChain.objects.order_by("pk")
    first, last = (json.loads(bytes(row.body or b"")) for row in chain.advertisements.order_by("number"))
    assert last["PreviousID"]["/"] == chain.advertisements.get(number=1).cid
    assert "PreviousID" not in first
    assert json.loads(bytes(chain.head_body or b""))["head"]["/"] == chain.head
    assert (other.length, other.head) == (0, "")


def test_runrole_serves_its_miners_door_until_it_ends(miner: Miner, tmp_path: Path) -> None:
    """A process of its own, as on a host; the client does not know how the door was started."""
    place = connection.settings_dict
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "poolsite.settings.test", "POOLSITE_VAR": str(tmp_path)}
    env |= {"PGDATABASE": str(place["NAME"]), "PGHOST": str(place["HOST"]), "PGUSER": str(place["USER"])}
    flags = ["--window-post=false", "--winning-post=false", "--p2p=true"]
    command = [sys.executable, "manage.py", "runrole", f"--miner={miner}", "--host=h", *flags]

    async def game() -> None:
        await until(lambda: MinerDoor.objects.filter(reason="", host="h").exists())
        client = await Client.connect(port)
        assert await client.ask("/fil/retrieval/transports/1.0.0")
        await connections_close()

    port = port_of(miner)
    process = subprocess.Popen(command, cwd=SITE, env=env, stdout=subprocess.PIPE, text=True)
    try:
        play(game)
        assert set(Role.objects.values_list("kind", "host", "state")) >= {
            (RoleKind.DEAL, "h", RoleState.HELD)
        }
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=30)

    assert "deal: released" in said
    assert not asyncio.run(answers("127.0.0.1", port))
