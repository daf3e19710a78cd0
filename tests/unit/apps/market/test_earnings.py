"""The sums of days are those of all deals, to the attoFIL, whatever happened to the deals."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import pairwise
from typing import Any

import pytest
from django.apps import apps

from apps.blocks.selectors.accounts import accounts_read
from apps.blocks.selectors.money import money_of
from apps.chain.errors import NodeRefused
from apps.core import clock
from apps.core.day_ranges import last_days
from apps.market.models import Deal, DealIncome
from apps.market.selectors.deals import WHOLE_EPOCHS
from apps.market.selectors.earnings import Payments, deal_payments, deals_earned, payments_of
from apps.market.services.earnings import earnings_record, settlement_note, settlements_read
from apps.market.services.transfers import deal_move
from apps.market.states import DealDoor
from apps.miners.models import Miner
from apps.sectors.models import SectorChange
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.actors.market import DealProposal
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET as DAY
from tests import factories
from tests.mk20 import sized
from tests.unit.devnet.deals import signed_by
from tests.unit.devnet.people import STRANGER

pytestmark = pytest.mark.django_db
DATA = b"paid data"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def paid_deal(miner: Miner, *, price: int, start: int, duration: int, number: int = 1) -> Deal:
    return factories.deal(
        miner,
        sized(DATA),
        state="SEALING",
        door=DealDoor.MK12,
        price=price,
        start_epoch=start,
        duration=duration,
        chain_deal=number,
    )


def earned(deals: Mapping[int, tuple[int, int, int]], first: int, last: int) -> int:
    """Sum over all deals, by price, start and end."""
    return sum(price * max(min(last, end) - max(first, start), 0) for price, start, end in deals.values())


def test_sums_of_days_are_those_of_all_deals() -> None:
    dice, miner, other = random.Random(7), factories.miner(2001), factories.miner(2002)
    deals: dict[int, tuple[int, int, int]] = {}
    for _ in range(40):
        price, start = dice.choice((1, 10**18 + 7, 3)), dice.randrange(20 * DAY)
        row = paid_deal(miner, price=price, start=start, duration=dice.randrange(1, 30 * DAY))
        deal_move(row, event="ACTIVATE", piece=None)
        deals[row.pk] = (price, start, start + row.duration)
        fate = dice.randrange(4)
        if fate:  # ended before its time, and for some a reorganisation took that or the activation back
            ended = dice.randrange(start, start + 30 * DAY)
            deal_move(row, event="END", piece=None, height=ended)
            deals[row.pk] = (price, start, min(start + row.duration, ended))
        if fate > 1:
            deal_move(row, event="SEAL", piece=None)
            del deals[row.pk]
        if fate > 2:
            deal_move(row, event="ACTIVATE", piece=None)
            deals[row.pk] = (price, start, start + row.duration)
    free = paid_deal(other, price=0, start=5, duration=DAY)
    deal_move(free, event="ACTIVATE", piece=None)

    for first in (0, 3 * DAY, 3 * DAY + 1, 17 * DAY - 1, 60 * DAY):
        heights = [first, first + 1, first + DAY // 2, first + 9 * DAY]
        wanted = [earned(deals, one, next_) for one, next_ in pairwise(heights)]
        assert deals_earned({miner.pk: heights, other.pk: heights}) == {miner.pk: wanted}
    assert Deal.objects.filter(earns_from__isnull=False).count() == len(deals)
    assert DealIncome.objects.filter(miner=miner).count() <= 50, "rows of days, not of deals"


def test_money_has_what_each_day_earned_and_tenants_have_the_sum() -> None:
    factories.network()
    miner = factories.miner(2001, refreshed_height=2500, balance=100)
    for age, height in ((0, 2000), (1, 1000)):
        began_at = NOW.replace(hour=0) - timedelta(days=age)
        factories.miner_day(miner, began_at=began_at, height=height, balance=100)
    deal_move(paid_deal(miner, price=7, start=1500, duration=700), event="ACTIVATE", piece=None)
    late = paid_deal(miner, price=10**18, start=2499, duration=9)
    deal_move(late, event="ACTIVATE", piece=None)
    days = last_days(7, now=NOW)

    lines = money_of(miner, viewer=SYSTEM, days=days).lines
    total = accounts_read(SYSTEM, days).total

    assert [line.deals for line in lines] == [7 * 200 + 10**18, 7 * 500]
    assert [(line.other, line.net) for line in lines] == [(0, line.deals) for line in lines]
    assert (total.deals, total.net) == (7 * 700 + 10**18,) * 2
    assert sum(total.net_by_day.values()) == total.net
    assert payments_of([miner]) == Payments(earned=7 * 700 + 10**18, settled=0)


class Node:
    """The market actor's answers for deals by their number: up to where it has paid."""

    def __init__(self, paid: dict[int, int]) -> None:
        self.paid, self.asked = paid, list[int]()

    def call_many(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        assert {method for method, _ in calls} == {"StateMarketStorageDeal"}
        numbers = [params[0] for _, params in calls]
        self.asked += numbers
        gone = NodeRefused(1, "deal 3 not found - deal may not have completed")
        return [
            {"State": {"LastUpdatedEpoch": self.paid[number]}} if number in self.paid else gone
            for number in numbers
        ]


def test_what_the_market_actor_has_paid_is_read_and_not_guessed() -> None:
    miner = factories.miner(2001, refreshed_height=10_000)
    rows = [paid_deal(miner, price=5, start=1000, duration=9500, number=number) for number in (1, 2, 3)]
    for row in rows:
        deal_move(row, event="ACTIVATE", piece=None)
    deal_move(rows[2], event="END", piece=None, height=4000)
    node: Any = Node({1: 3000, 2: -1})

    settlements_read(node, height=10_000, key="key")
    settlements_read(node, height=10_001, key="key")  # once a day

    assert node.asked == [1, 2, 3]
    for row in rows:
        row.refresh_from_db()
    assert [deal_payments(row, height=10_000) for row in rows] == [
        Payments(45_000, 10_000),
        Payments(45_000, 0),
        Payments(15_000, 15_000),
    ]
    assert payments_of([miner]) == Payments(105_000, 25_000)
    assert payments_of([miner]).unsettled == 80_000
    node.paid = {1: 99_999, 2: 9000}
    settlements_read(node, height=10_000 + DAY, key="key")
    miner.refreshed_height = 10_000 + DAY
    assert node.asked[3:] == [1, 2], "a deal that is paid wholly is asked about no more"
    assert payments_of([miner]) == Payments(47_500 * 2 + 15_000, 47_500 + 40_000 + 15_000)


def older_deal(miner: Miner, *, state: str, number: int | None = None) -> Deal:
    """A deal as a console of the version before has left it: its price is in the proposal alone."""
    terms = DealProposal(
        piece_cid=sized(DATA).cid,
        piece_size=sized(DATA).padded_size,
        verified_deal=False,
        client=STRANGER.address,
        provider=address_parse(miner.address),
        label="",
        start_epoch=1000,
        end_epoch=9000,
        storage_price_per_epoch=7,
        provider_collateral=0,
        client_collateral=0,
    )
    return factories.deal(
        miner,
        sized(DATA),
        state=state,
        door=DealDoor.MK12,
        start_epoch=1000,
        duration=8000,
        proposal=to_cbor(signed_by(STRANGER, terms)),
        sector_number=number,
    )


def ended_by_pool(miner: Miner, *, state: str, landed: int) -> int:
    """A sector for whose end a message was sent that landed at this height; returns its number."""
    row = factories.sector(miner, state="PROVING")
    batch = factories.batch(miner, "TERMINATE", landed_height=landed)
    SectorChange.objects.create(
        sector=row, kind="TERMINATE", state=state, batch=batch, queued_height=1, actor="ann", reason="old"
    )
    return int(row.number)


@pytest.mark.parametrize("is_migrated", [True, False])
def test_deals_of_a_version_before_earn_until_their_sectors_ended(is_migrated: bool) -> None:
    miner, at = factories.miner(2001, refreshed_height=20_000), 3 * WHOLE_EPOCHS
    older_deal(miner, state="ACTIVE")
    older_deal(miner, state="ENDED", number=ended_by_pool(miner, state="TERMINATE_LANDED", landed=3000))
    older_deal(miner, state="ENDED", number=ended_by_pool(miner, state="TERMINATE_FAILED", landed=2000))
    older_deal(miner, state="SEALING")
    if is_migrated:
        migration = import_module("apps.market.migrations.0019_income_of_older_deals")
        migration.earnings_note(apps, None)
        migration.earnings_note(apps, None)
        assert payments_of([miner]).earned == 3 * 7 * 8000

    for height in (at - 1, at, at):
        earnings_record(height=height, now=clock.now())

    assert payments_of([miner]) == Payments(7 * (8000 + 2000 + 8000), 0)
    heights = [0, 2500, 5000, 20_000]
    assert deals_earned({miner.pk: heights})[miner.pk] == [3 * 7 * 1500, 7 * (500 + 2 * 2500), 2 * 7 * 4000]


def test_a_deal_that_a_version_before_has_activated_earns_until_it_ends() -> None:
    miner = factories.miner(2001, refreshed_height=20_000)
    deal_move(older_deal(miner, state="ACTIVE"), event="END", piece=None, height=4000)
    assert payments_of([miner]) == Payments(7 * 3000, 0)


def test_a_payment_that_was_read_meanwhile_counts_once() -> None:
    miner = factories.miner(2001, refreshed_height=10_000)
    row = paid_deal(miner, price=5, start=1000, duration=9500)
    deal_move(row, event="ACTIVATE", piece=None)
    stale = Deal.objects.get(pk=row.pk)
    settlement_note(row, settled_to=3000, height=5000)
    deal_move(stale, event="END", piece=None, height=2000)
    assert payments_of([miner]) == Payments(5000, 5000)


def test_deals_that_a_node_refuses_keep_no_other_from_being_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apps.market.services.earnings.READ_MOST", 1)
    miner = factories.miner(2001, refreshed_height=10_000)
    rows = [paid_deal(miner, price=5, start=1000, duration=500, number=number) for number in (1, 2)]
    for row in rows:
        deal_move(row, event="ACTIVATE", piece=None)
    node: Any = Node({2: 1200})  # of deal 1 it says that another was not found

    for height in (10_000, 10_001, 10_002):
        settlements_read(node, height=height, key="key")

    assert node.asked == [1, 2]
    assert payments_of([miner]) == Payments(5000, 1000)
