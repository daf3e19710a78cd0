"""A deal of the built-in market: published on the chain, its data sealed, and the market told of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from apps.pieces.models import Piece
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
from poolsite.filecoin.deals import MIN_DURATION
from tests.integration.sealing.test_pieces import LARGE, add, data_of
from tests.integration.sealing.world import PERIOD, SKIP
from tests.unit.devnet.deals import signed_by
from tests.unit.devnet.people import STRANGER, Person
from tests.unit.devnet.people import send as chain_send

if TYPE_CHECKING:
    from pathlib import Path

    from apps.miners.models import Miner
    from tests.integration.sealing.world import World

GAS = 500_000_000


@pytest.fixture(autouse=True)
def at_once(settings: Any, tmp_path: Path) -> None:
    """No piece waits for others."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 0}


def deal_published(world: World, miner: Miner, piece: Piece, *, start: int) -> int:
    """A deal between a client and the miner over a piece, as PublishStorageDeals gives its number."""
    node = world.node.devnet
    send = partial(chain_send, node)
    worker = Person(world.keys[world.worker], address_parse(world.worker))
    faucet = Person(node.wallet.key(node.wallet.default), node.wallet.default)
    provider = address_parse(miner.address)
    send(faucet, STRANGER.address, value=10 * FIL)
    for who, party in ((STRANGER, STRANGER.address), (worker, provider)):
        deposit = to_cbor(AddBalanceParams(party))
        assert send(who, MARKET_ACTOR, method=2, params=deposit, value=5 * FIL).exit_code == 0
    proposal = DealProposal(
        piece_cid=cid_parse(piece.piece_cid),
        piece_size=piece.padded_size,
        verified_deal=False,
        client=STRANGER.address,
        provider=provider,
        label="a label",
        start_epoch=start,
        end_epoch=start + MIN_DURATION,
        storage_price_per_epoch=10**9,
        provider_collateral=10**15,
        client_collateral=10**12,
    )
    params = to_cbor(PublishStorageDealsParams((signed_by(STRANGER, proposal),)))
    receipt = send(worker, MARKET_ACTOR, method=4, params=params, gas_limit=GAS)
    assert receipt.exit_code == 0
    [number] = from_cbor(PublishStorageDealsReturn, receipt.return_).ids
    return int(number)


def test_a_published_deal_is_sealed_and_begins(world: World) -> None:
    miner = world.miner_create()
    piece = add(world, miner, LARGE)
    start = world.height + 4 * PERIOD
    deal = deal_published(world, miner, piece, start=start)
    Piece.objects.filter(pk=piece.pk).update(deal=deal, start_epoch=start)

    world.until(lambda: Piece.objects.get().state == "ACTIVE", epochs=3 * PERIOD, stride=SKIP)

    row = world.ask("StateMarketStorageDeal", deal, None)
    sector = Piece.objects.get().sector_number
    assert (row["Proposal"]["PieceCID"]["/"], row["State"]["SectorNumber"]) == (piece.piece_cid, sector)
    assert 0 < row["State"]["SectorStartEpoch"] <= start
    info = world.ask("StateSectorGetInfo", miner.address, sector, None)
    assert (int(info["DealWeight"]) > 0, int(info["VerifiedDealWeight"])) == (True, 0)
    assert data_of(world, piece) == LARGE
