"""Payments of deals on the devnet: settled by rule and by hand, killed at each write, to the attoFIL."""

from __future__ import annotations

from functools import partial

import pytest

from apps.chain.selectors.heads import head_current
from apps.market.models import Deal, DealSettlement, Settlement
from apps.market.selectors.earnings import payments_of
from apps.market.services.markets import market_set
from apps.messages.models import Message
from poolsite.filecoin.amounts import FIL
from tests import people
from tests.integration.sealing.deal_desk import COLLATERAL, Desk, states
from tests.integration.sealing.pieces import LARGE, SMALL, at_once
from tests.integration.sealing.world import PERIOD, SKIP, World
from tests.killed_writes import killed_until_done
from tests.unit.devnet.people import STRANGER

__all__ = ["at_once"]

PRICE = 4 * 10**12


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def balance(desk: Desk, address: str) -> tuple[int, int]:
    """Market balance of an address, and what is locked of it."""
    found = desk.world.ask("StateMarketBalance", address, None)
    return int(found["Escrow"]), int(found["Locked"])


def test_fees_are_settled_by_rule_and_by_hand_and_killed_at_each_write(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, miner = desk.world, desk.miner
    market_set(miner, values={"settle_days": 0}, by=people.principal())
    for data in (LARGE, SMALL):
        desk.stored(desk.signed(STRANGER, data, storage_price_per_epoch=PRICE), data)
    world.until(lambda: states() == ["ACTIVE", "ACTIVE"], epochs=5 * PERIOD, stride=SKIP)
    start = max(deal.start_epoch or 0 for deal in Deal.objects.all())
    client, before = str(STRANGER.address), balance(desk, miner.address)
    whole = before[0] + balance(desk, client)[0]
    world.until(lambda: world.height > start + 120, epochs=5 * PERIOD, stride=SKIP)
    assert not Settlement.objects.exists()
    assert balance(desk, miner.address) == before, "the market pays nothing by itself"

    def closed(count: int) -> bool:
        """Run the market's step, killed at each write; return whether so many settlements are over."""
        head = head_current()
        assert head is not None
        step = partial(world.task_now, "market.advance", kwargs={"height": head.height, "key": head.key})
        killed_until_done(step)
        return Settlement.objects.filter(is_open=False).count() == count

    for module in ("selectors.settlements", "services.settling"):
        monkeypatch.setattr(f"apps.market.{module}.day_epochs_read", lambda: 100)
    market_set(miner, values={"settle_days": 1}, by=people.principal())
    world.until(lambda: closed(1), epochs=60)

    [settlement] = Settlement.objects.all()
    assert Message.objects.filter(kind="settle").count() == 1
    paid = sum(int(row.payment) for row in DealSettlement.objects.all())
    epochs = sum((settlement.height or 0) - (deal.start_epoch or 0) for deal in Deal.objects.all())
    assert paid == int(settlement.paid) == PRICE * epochs
    assert balance(desk, miner.address) == (before[0] + paid, 2 * COLLATERAL)
    assert balance(desk, miner.address)[0] + balance(desk, client)[0] == whole
    assert payments_of([miner]).settled == paid

    rest = world.line_to_console("sign")._client
    answer = rest.post(f"/api/v1/miners/{miner.address}/settlements")
    assert answer.status_code == 201, answer.text
    again = rest.post(f"/api/v1/miners/{miner.address}/settlements")
    assert (again.status_code, again.json()["message"]) == (
        409,
        "the market actor owes nothing for its deals",
    )
    world.until(lambda: closed(2), epochs=60)

    assert Settlement.objects.count() == 2
    deal = Deal.objects.order_by("pk")[0]
    shown = world.console._client.get(f"/api/v1/deals/{deal.uuid}").json()
    assert [row["height"] for row in shown["settlements"]] == [
        row.height for row in Settlement.objects.order_by("-pk")
    ]
    assert int(shown["settled"]) == sum(int(row["payment"]) for row in shown["settlements"])
    escrow = balance(desk, miner.address)[0]
    assert escrow - before[0] == payments_of([miner]).settled < FIL
