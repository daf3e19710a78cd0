"""Deals of market 2.0 from a client's signed request to active data, and back, on a real chain."""

from __future__ import annotations

from typing import Any

from django.test import Client

from apps.chain.selectors.network import network_current
from apps.market.models import Deal
from apps.market.services.markets import market_set
from apps.pieces.models import Piece
from apps.sectors.models import Sector
from tests import people
from tests.integration.sealing.pieces import LARGE, SMALL, allocation, at_once, data_of
from tests.integration.sealing.world import PERIOD, SKIP, WINDOW, World
from tests.mk20 import Mk20Client, document, sized
from tests.unit.devnet.people import OWNER, STRANGER

__all__ = ["at_once"]


def word(who: Mk20Client, name: str) -> str:
    found: str = who.ask(Client(), "GET", f"/status/{name}").json()["ddo_v1"]["status"]
    return found


def propose(who: Mk20Client, body: dict[str, Any]) -> tuple[int, str]:
    answer = who.ask(Client(), "POST", "/deal", body)
    return answer.status_code, answer.content.decode()


def test_a_verified_and_a_plain_deal_become_active_and_come_back(world: World) -> None:
    miner = world.miner_create()
    market_set(miner, values={"is_open": True}, by=people.principal())
    verified, plain = Mk20Client(key=STRANGER.key), Mk20Client(key=OWNER.key)
    client, number = allocation(world, miner, str(sized(LARGE).cid), 1024)
    term = world.ask("StateGetAllocation", verified.address, number, [])["TermMin"]
    life = network_current().min_sector_expiration
    large = document(verified, miner, LARGE, allocation_id=number, duration=term)
    small = document(plain, miner, SMALL, duration=life)

    foreign = document(plain, miner, LARGE, allocation_id=number, duration=term)
    other = document(verified, miner, SMALL, allocation_id=number, duration=term)
    assert propose(plain, foreign) == (400, "Reason: Verified piece must have a valid allocation ID")
    assert propose(verified, other) == (400, "Reason: Allocation data CID does not match the piece CID")
    assert propose(verified, large) == propose(plain, small) == (200, "Reason: ")
    for who, body, data in ((verified, large, LARGE), (plain, small, SMALL)):
        assert who.ask(Client(), "PUT", f"/upload/{body['identifier']}", data).status_code == 200
        assert who.ask(Client(), "POST", f"/upload/{body['identifier']}").status_code == 200
    world.until(lambda: Sector.objects.exists(), epochs=5)
    world.epoch()
    assert {word(verified, large["identifier"]), word(plain, small["identifier"])} == {"sealing"}
    world.until(
        lambda: set(Deal.objects.exclude(state="REFUSED").values_list("state", flat=True)) == {"ACTIVE"},
        epochs=PERIOD + WINDOW + 40,
        stride=SKIP,
    )

    assert {word(verified, large["identifier"]), word(plain, small["identifier"])} == {"complete"}
    (claim,) = world.ask("StateGetClaims", miner.address, None).values()
    sector = Sector.objects.get()
    assert (claim["Data"]["/"], claim["Sector"]) == (str(sized(LARGE).cid), sector.number)
    info = world.ask("StateSectorGetInfo", miner.address, sector.number, None)
    assert info["Expiration"] - info["Activation"] >= life
    found = {deal.client: deal for deal in Deal.objects.filter(state="ACTIVE").select_related("piece")}
    assert (found[verified.address].client_id, found[verified.address].sector_number) == (
        client,
        sector.number,
    )
    for who, data in ((verified, LARGE), (plain, SMALL)):
        piece = found[who.address].piece
        assert piece is not None
        assert data_of(world, piece) == data
    assert Piece.objects.count() == 2

    Piece.objects.update(state="ENDED")
    world.epoch(2)
    assert set(Deal.objects.exclude(state="REFUSED").values_list("state", flat=True)) == {"ENDED"}
