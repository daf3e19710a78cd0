"""Deals that the market actor holds: proposed, stored, published in shared messages, sealed and active."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from apps.market.errors import DealBusy, DealRefused
from apps.market.models import Deal, DealIncome, DealMessage
from apps.market.selectors.deals import use_read
from apps.messages.models import Message
from apps.pieces.models import Piece
from apps.sectors.models import Sector
from poolsite.filecoin.actors.market import (
    PublishStorageDealsParams,
)
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.deals import MIN_DURATION
from tests.integration.sealing.deal_desk import COLLATERAL, Desk, states
from tests.integration.sealing.pieces import LARGE, SMALL, at_once, data_of
from tests.integration.sealing.world import PERIOD, SKIP, World
from tests.killed_writes import Killed, killed_until_done
from tests.unit.devnet.people import OWNER, STRANGER

__all__ = ["at_once"]


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def published() -> list[int]:
    """How many deals each of the pool's messages publishes."""
    rows = Message.objects.filter(kind="publish").order_by("created_at")
    return [len(from_cbor(PublishStorageDealsParams, bytes(row.params)).deals) for row in rows]


def test_good_deals_share_a_message_that_a_bad_one_spoils_not(desk: Desk) -> None:
    world = desk.world
    verified = desk.stored(desk.signed(STRANGER, LARGE, verified_deal=True), LARGE)
    plain = desk.stored(desk.signed(STRANGER, LARGE, label="once more"), LARGE)
    poor = desk.stored(desk.signed(OWNER, SMALL), SMALL)
    desk.withdraw(OWNER)
    assert Piece.objects.count() == 0 or set(Piece.objects.values_list("deal", flat=True)) == {None}

    world.until(lambda: states() == ["ACTIVE", "ACTIVE", "FAILED"], epochs=5 * PERIOD, stride=SKIP)

    assert published() == [2]
    poor.refresh_from_db()
    assert poor.reason.startswith("it was not published early enough to be sealed before its start epoch")
    assert "the client's market balance lacks 0.000" in poor.reason
    assert Piece.objects.get(held_for=poor.uuid).state == "FAILED"
    for deal in (verified, plain):
        deal.refresh_from_db()
        assert deal.piece is not None
        row = world.ask("StateMarketStorageDeal", deal.chain_deal, None)
        assert row["Proposal"]["PieceCID"]["/"] == deal.piece_cid
        assert (row["State"]["SectorNumber"], deal.piece.deal) == (deal.sector_number, deal.chain_deal)
        assert row["State"]["SectorStartEpoch"] > 0
        assert data_of(world, deal.piece) == LARGE
    assert verified.chain_deal != plain.chain_deal
    (claim,) = world.ask("StateGetClaims", desk.miner.address, None).values()
    assert (claim["Data"]["/"], claim["Sector"]) == (verified.piece_cid, verified.sector_number)
    assert plain.allocation is None
    sector = Sector.objects.get(number=verified.sector_number or 0)
    assert (sector.expiration or 0) >= (verified.start_epoch or 0) + MIN_DURATION


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"provider_collateral": 0}, "invalid deal proposal: Provider collateral out of bounds."),
        (
            {"provider_collateral": 2 * 10**15},
            "proposed provider collateral above maximum: 2000",
        ),
        (
            {"storage_price_per_epoch": 10**13},
            "clientMarketBalance.Available too small: 5000000000000000000 <",
        ),
        ({"end_epoch": 10**6 // 2}, "duration must be at least 518400"),
        ({"label": "x" * 300}, "invalid deal proposal: deal label can be at most 256 bytes, is 300"),
        ({"verified_deal": True}, "verified deal DataCap too small for proposed piece size"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_would_not_be_published_is_refused(desk: Desk, changes: dict[str, Any], reason: str) -> None:
    signed = desk.signed(OWNER, LARGE, **changes)

    with pytest.raises((DealRefused, DealBusy)) as refusal:
        desk.propose(signed, LARGE)

    assert reason in (getattr(refusal.value, "cause", "") or refusal.value.reason)
    assert states() == ["REFUSED"]


def test_a_proposal_makes_one_deal_and_money_is_reserved_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.market.rules.COLLATERAL_ALWAYS", 5 * FIL)
    half = desk.signed(STRANGER, LARGE, provider_collateral=3 * FIL)
    desk.propose(half, LARGE)

    with pytest.raises(DealRefused, match="deal proposal is identical to deal"):
        desk.propose(half, LARGE)
    with pytest.raises(DealBusy):
        desk.propose(desk.signed(OWNER, SMALL, provider_collateral=3 * FIL), SMALL)


def test_a_kill_at_any_write_publishes_nothing_twice_and_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step of the market is killed at each of its writes in turn, until it comes to its end."""
    world, plain, kills = desk.world, desk.world.task_now, Counter[str]()

    def killed(name: str, **more: Any) -> None:
        if name == "market.advance":
            killed_until_done(partial(step, **more))
        else:
            plain(name, **more)

    def step(**more: Any) -> None:
        try:
            plain("market.advance", **more)
        except Killed:
            kills.update(states())
            assert len(states()) == 2
            assert max(use_read(desk.miner, client="").miner_reserved, locked()) <= 2 * COLLATERAL
            raise

    def locked() -> int:
        return int(world.ask("StateMarketBalance", desk.miner.address, None)["Locked"])

    monkeypatch.setattr(world, "task_now", killed)
    monkeypatch.setattr("poolsite.celery.app.send_task", killed)
    for data in (LARGE, SMALL):
        desk.stored(desk.signed(STRANGER, data), data)

    world.until(lambda: states() == ["ACTIVE", "ACTIVE"], epochs=5 * PERIOD, stride=SKIP)
    assert (published(), DealMessage.objects.count(), locked()) == ([2], 2, 2 * COLLATERAL)

    def ended() -> bool:
        """Their sectors live: at some heads the pieces are compared with the chain, and put back."""
        Piece.objects.update(state="ENDED")
        return states() == ["ENDED", "ENDED"]

    world.until(ended, epochs=5)
    assert set(kills) >= {"TRANSFERRING", "UNPUBLISHED", "PUBLISHING", "VERIFIED", "SEALING", "ACTIVE"}
    assert set(world.ask("StateMarketDeals", None)) == {str(deal.chain_deal) for deal in Deal.objects.all()}
    incomes = {(int(row.rate), int(row.moment)) for row in DealIncome.objects.all()}
    assert incomes == {(0, 0)}, "what begins, ends"
