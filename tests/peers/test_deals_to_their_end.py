"""Go clients' deals from the proposal to the end of their term, on a devnet that is wound on.

Nothing ends there within half a year of epochs, the least that a chain's rules allow: this one allows four
proving periods, and all else is as it is.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from apps.api.mk12.answers import Door
from apps.api.mk12.streams import Streams
from apps.market.models import Deal
from apps.market.selectors.deals import use_read
from apps.market.services.markets import market_set
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.pieces.selectors import storage_use
from apps.sectors.models import Sector
from poolsite.devnet.actors.verified import allocations
from poolsite.filecoin import deals, policy
from poolsite.filecoin.actors.market import AddBalanceParams, Method
from poolsite.filecoin.actors.market_deals import SettleDealPaymentsParams
from poolsite.filecoin.address import MARKET_ACTOR, address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import to_cbor
from poolsite.libp2p.identity import Identity
from poolsite.libp2p.listener import Listener
from tests import people
from tests.hub import WebProcess
from tests.integration.pools import NO_CERTIFICATES
from tests.integration.sealing.conftest import kernels, places, world
from tests.integration.sealing.pieces import LARGE, allocation
from tests.integration.sealing.world import PERIOD, SKIP, World
from tests.mk20 import sized
from tests.peers.programs import ANSWER_S, go_program
from tests.unit.devnet.people import OWNER, STRANGER, Person
from tests.unit.devnet.people import send as chain_send

__all__ = ["kernels", "places", "world"]

pytestmark = [pytest.mark.peer, pytest.mark.django_db(transaction=True)]

LIFE: Final = 4 * PERIOD
"""Shortest life of a sector, a deal and an allocation, epochs."""
COLLATERAL: Final = 10**15
PRICE: Final = 10**9
"""attoFIL an epoch."""
BOXED, HELD = b"came on a disk " * 40, b"came on another disk " * 20


@pytest.fixture(autouse=True)
def short_lives(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    """A chain on which sectors and deals may end soon."""
    rules = replace(policy.TEST, min_sector_expiration=LIFE, max_prove_commit_duration=PERIOD)
    monkeypatch.setitem(policy.NETWORKS, policy.TEST.name, rules)
    monkeypatch.setattr(deals, "MIN_DURATION", LIFE)
    monkeypatch.setattr(allocations, "TERM_MIN", LIFE)
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 0, "sector_life_epochs": LIFE}


class Market:
    """A miner whose doors are open, and clients in Go."""

    def __init__(self, world: World, web: WebProcess) -> None:
        self.world, self.url = world, f"http://127.0.0.1:{web.port}"
        self.miner: Miner = world.miner_create()
        terms = {"is_open": True, "serves_data": True, "publish_wait": 0}
        market_set(self.miner, values=terms, by=people.principal())
        self.mk20, self.mk12 = go_program("mk20"), go_program("storage")
        identity, loop = Identity.of_seed(bytes(32)), asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        door = Listener(identity, Streams(Door(self.miner.address)).protocols, agent="poolsite")
        port = asyncio.run_coroutine_threadsafe(door.open("127.0.0.1", 0), loop).result(ANSWER_S)
        self.door = f"/ip4/127.0.0.1/tcp/{port}/p2p/{identity.text}"

    def pay(self, who: Person, party: Any) -> None:
        """Pay into a market balance."""
        params = to_cbor(AddBalanceParams(party))
        assert self.send(who, Method.ADD_BALANCE, params, value=FIL).exit_code == 0

    def send(self, who: Person, method: int, params: bytes, **fields: Any) -> Any:
        """Send to the market actor."""
        return chain_send(self.world.node.devnet, who, MARKET_ACTOR, method=method, params=params, **fields)

    def over_http(self, order: dict[str, Any]) -> dict[str, Any]:
        """Have the client of market 2.0 propose, or ask; return what it was answered by step."""
        text = json.dumps({name: encoded(value) for name, value in order.items()})
        steps = printed([str(self.mk20), self.url, self.miner.address or "", text])
        assert {row["status"] for row in steps.values()} == {200}, json.dumps(steps, indent=1)
        return steps

    def over_libp2p(self, order: dict[str, Any]) -> dict[str, Any]:
        """Have the client of market 1.2 propose a deal and ask how far it is."""
        return printed([str(self.mk12), self.door, "deal", json.dumps(order)])

    def import_data(self, deal: Deal, data: bytes) -> None:
        """Import what came on a disk, as the operator does."""
        answer = self.world.console._client.post(f"/api/v1/deals/{deal.uuid}/data", content=data)
        assert answer.status_code == 200, answer.text

    def escrow(self) -> dict[str, Any]:
        """Return what page *Market* shows of the miner's market balance."""
        answer = self.world.console._client.get(f"/api/v1/miners/{self.miner.address}/escrow")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown


def encoded(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def printed(words: list[str]) -> dict[str, Any]:
    done = subprocess.run(words, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {row["step"]: row for row in map(json.loads, done.stdout.splitlines())}


@pytest.fixture
def market(go: None, world: World) -> Iterator[Market]:
    web = WebProcess()
    web.start()
    yield Market(world, web)
    web.stop()


def states() -> set[str]:
    return set(Deal.objects.values_list("state", flat=True))


def piece_states() -> set[str]:
    return set(Piece.objects.values_list("state", flat=True))


def test_go_clients_deals_become_active_come_back_and_end_in_their_time(market: Market) -> None:
    """Offline ones of both markets, and a verified direct one."""
    world, miner = market.world, market.miner
    worker = Person(world.keys[world.worker], address_parse(world.worker))
    client, number = allocation(world, miner, str(sized(LARGE).cid), 1024, term_min=LIFE)
    market.pay(worker, address_parse(miner.address))
    market.pay(OWNER, OWNER.address)
    world.epoch()
    start = world.height + 3 * PERIOD

    direct = {"Key": STRANGER.key.private_key, "Data": LARGE, "Allocation": number, "Duration": LIFE}
    boxed = {"Key": OWNER.key.private_key, "Data": BOXED, "Offline": True, "Duration": LIFE, "Start": start}
    names = [market.over_http(order)["proposed"]["found"]["identifier"] for order in (direct, boxed)]
    held = {
        **{"Key": OWNER.key.private_key.hex(), "Provider": miner.address, "UUID": str(uuid4()), "Label": "a"},
        **{"Piece": str(sized(HELD).cid), "PieceSize": sized(HELD).padded_size, "Size": len(HELD)},
        **{"URL": "", "Start": start, "End": start + LIFE, "Price": str(PRICE)},
        **{"Collateral": str(COLLATERAL)},
    }
    assert market.over_libp2p(held)["propose"]["accepted"]
    verified, plain, published = Deal.objects.order_by("pk")
    assert (verified.allocation, plain.source, published.source) == (number, "offline", "offline")
    assert int(market.escrow()["reserved"]) == COLLATERAL
    market.import_data(plain, BOXED)
    market.import_data(published, HELD)

    world.until(lambda: states() == {"ACTIVE"}, epochs=4 * PERIOD, stride=SKIP)

    for name, order in zip(names, (direct, boxed), strict=True):
        answer = market.over_http({"Key": order["Key"], "Identifier": name})
        assert answer["status"]["found"] == {"ddo_v1": {"status": "complete", "errorMsg": ""}}
    status = market.over_libp2p(held)["status"]["answer"]["DealStatus"]
    assert status["Status"] == "Complete"
    for deal, data in ((verified, LARGE), (plain, BOXED), (published, HELD)):
        back = httpx.get(f"{market.url}/piece/{deal.piece_cid}", verify=NO_CERTIFICATES)
        assert (back.status_code, back.content) == (200, data)
    (claim,) = world.ask("StateGetClaims", miner.address, None).values()
    assert (claim["Data"]["/"], claim["Client"]) == (verified.piece_cid, client)
    assert {name: int(market.escrow()[name]) for name in ("reserved", "locked")} == {
        **{"reserved": 0, "locked": COLLATERAL}
    }
    assert storage_use(miner.tenant_id).used_bytes > 0

    ends = [row["Expiration"] for row in world.ask("StateMinerSectors", miner.address, None, [])]
    world.node.devnet.advance(max(*ends, start + LIFE) - world.height)
    world.until(lambda: {*states(), *piece_states()} == {"ENDED"}, epochs=5 * PERIOD, stride=SKIP)

    published.refresh_from_db()
    assert published.reason == f"its term ended at epoch {start + LIFE}"
    assert not Sector.objects.filter(active=True).exists()
    settled = SettleDealPaymentsParams(bitfield_of([published.chain_deal or 0]))
    market.send(STRANGER, Method.SETTLE_DEAL_PAYMENTS_EXPORTED, to_cbor(settled))
    world.epoch()
    free = {"reserved": 0, "locked": 0, "free": FIL + PRICE * LIFE}
    assert {name: int(market.escrow()[name]) for name in free} == free
    use = use_read(miner, client=published.client)
    assert not any(astuple(use)), use
    for piece in Piece.objects.all():  # an ended piece keeps its bytes until somebody removes it
        assert world.console._client.delete(f"/api/v1/pieces/{piece.piece_cid}").status_code == 204
    assert storage_use(miner.tenant_id).used_bytes == 0
