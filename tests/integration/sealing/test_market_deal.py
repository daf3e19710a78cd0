"""Deals of the built-in market: published on the chain, their data sealed, and the market told of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import Batch, Sector
from poolsite.filecoin.actors.market import (
    AddBalanceParams,
    DealProposal,
    PublishStorageDealsParams,
    PublishStorageDealsReturn,
)
from poolsite.filecoin.address import MARKET_ACTOR, address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deals import MIN_DURATION, TERM_BUFFER
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from tests.integration.sealing.pieces import LARGE, add, data_of, granted
from tests.integration.sealing.world import PERIOD, SKIP, World
from tests.unit.devnet.deals import signed_by
from tests.unit.devnet.people import STRANGER, Person
from tests.unit.devnet.people import send as chain_send

GAS = 500_000_000
OTHER = bytes(number % 241 for number in range(1000))


@pytest.fixture(autouse=True)
def at_once(settings: Any, tmp_path: Path) -> None:
    """No piece waits for others."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 0}


def deal_published(
    world: World, miner: Miner, piece: Piece, *, start: int, label: str, **changes: Any
) -> int:
    """A deal of 180 days between a client and the miner over a piece, as PublishStorageDeals numbers it.

    The market takes no proposal twice, so that two over one piece differ in their label.
    """
    node = world.node.devnet
    send = partial(chain_send, node)
    worker = Person(world.keys[world.worker], address_parse(world.worker))
    faucet = Person(node.wallet.key(node.wallet.default), node.wallet.default)
    provider = address_parse(miner.address)
    send(faucet, STRANGER.address, value=10 * FIL)
    for who, party in ((STRANGER, STRANGER.address), (worker, provider)):
        deposit = to_cbor(AddBalanceParams(party))
        assert send(who, MARKET_ACTOR, method=2, params=deposit, value=5 * FIL).exit_code == 0
    fields = {
        "piece_cid": cid_parse(piece.piece_cid),
        "piece_size": piece.padded_size,
        "verified_deal": False,
        "client": STRANGER.address,
        "provider": provider,
        "label": label,
        "start_epoch": start,
        "end_epoch": start + MIN_DURATION,
        "storage_price_per_epoch": 10**9,
        "provider_collateral": 10**15,
        "client_collateral": 10**12,
    }
    proposal = DealProposal(**{**fields, **changes})
    params = to_cbor(PublishStorageDealsParams((signed_by(STRANGER, proposal),)))
    receipt = send(worker, MARKET_ACTOR, method=4, params=params, gas_limit=GAS)
    assert receipt.exit_code == 0
    [number] = from_cbor(PublishStorageDealsReturn, receipt.return_).ids
    return int(number)


@pytest.mark.parametrize("datas", [(LARGE, OTHER), (LARGE, LARGE)], ids=["two-pieces", "one-piece-twice"])
def test_two_published_deals_are_sealed_into_one_sector_and_begin(
    world: World, datas: tuple[bytes, bytes]
) -> None:
    miner = world.miner_create()
    start = world.height + 4 * PERIOD
    offered = [add(world, miner, data) for data in dict.fromkeys(datas)]
    deals = [
        deal_published(world, miner, offered[number % len(offered)], start=start, label=f"deal {number}")
        for number in range(len(datas))
    ]
    Piece.objects.all().delete()
    pieces = [
        add(world, miner, data, deal=deal, start_epoch=start) for data, deal in zip(datas, deals, strict=True)
    ]

    world.until(
        lambda: set(Piece.objects.values_list("state")) == {("ACTIVE",)}, epochs=3 * PERIOD, stride=SKIP
    )

    sector = Sector.objects.get().number
    for piece, deal in zip(pieces, deals, strict=True):
        row = world.ask("StateMarketStorageDeal", deal, None)
        assert (row["Proposal"]["PieceCID"]["/"], row["State"]["SectorNumber"]) == (piece.piece_cid, sector)
        assert 0 < row["State"]["SectorStartEpoch"] <= start
    placed = Piece.objects.order_by("offset").values_list("sector_number", "offset", "deal")
    assert [(number, offset) for number, offset, _ in placed] == [(sector, 0), (sector, 1024)]
    assert {deal for _, _, deal in placed} == set(deals)
    info = world.ask("StateSectorGetInfo", miner.address, sector, None)
    assert (int(info["DealWeight"]) > 0, int(info["VerifiedDealWeight"])) == (True, 0)
    assert [data_of(world, piece) for piece in pieces] == list(datas)


@pytest.mark.parametrize("more_days", [0, 420], ids=["180 days", "600 days"])
def test_a_verified_deal_is_claimed_by_a_sector_that_lives_as_it_asks(world: World, more_days: int) -> None:
    """Shorter than the wished life, as most deals are, and longer: the sector's life follows."""
    miner = world.miner_create()
    registry = granted(world, miner)
    client = registry.id_of(STRANGER)
    start = world.height + 4 * PERIOD
    duration = MIN_DURATION + more_days * EPOCHS_PER_DAY_MAINNET
    offered = add(world, miner, LARGE)
    terms: dict[str, Any] = {"verified_deal": True, "end_epoch": start + duration}
    deal = deal_published(world, miner, offered, start=start, label="verified", **terms)
    [number] = world.ask("StateGetAllocations", f"f0{client}", None)
    Piece.objects.all().delete()
    piece = add(world, miner, LARGE, client=f"f0{client}", allocation=number, deal=deal)

    world.until(lambda: Sector.objects.filter(active=True).exists(), epochs=3 * PERIOD, stride=SKIP)
    world.epoch(2)

    piece.refresh_from_db()
    sector = Sector.objects.get()
    assert (piece.state, piece.sector_number) == ("ACTIVE", sector.number)
    (claim,) = world.ask("StateGetClaims", miner.address, None).values()
    assert (claim["Data"]["/"], claim["Sector"]) == (piece.piece_cid, sector.number)
    info = world.ask("StateSectorGetInfo", miner.address, sector.number, None)
    life = info["Expiration"] - info["Activation"]
    assert (duration <= life <= duration + TERM_BUFFER, sector.expiration) == (True, info["Expiration"])
    assert info["Expiration"] >= start + duration
    assert int(info["VerifiedDealWeight"]) == 1024 * life
    row = world.ask("StateMarketStorageDeal", deal, None)
    assert row["State"]["SectorNumber"] == sector.number
    commit = Message.objects.get(kind="commit")
    assert (commit.state, commit.exit_code) == ("LANDED", 0)
    brought = sum(int(batch.value) + int(batch.from_balance or 0) for batch in Batch.objects.all())
    assert brought >= int(info["InitialPledge"]), "deposit and pledge are those of verified data"
