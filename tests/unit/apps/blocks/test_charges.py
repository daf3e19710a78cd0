"""What a day is charged: by which terms, to whom, once, and only when it is final."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.blocks.due import CHARGES
from apps.blocks.models import Block, Charge, Statement
from apps.blocks.services.charges import charges_book, corrections_book
from apps.blocks.services.statements import statements_close
from apps.blocks.states import ChargeKind, RoundState
from apps.blocks.tasks import charges_follow
from apps.core.prepared_statements import Prepared
from apps.messages.models import Tracker
from apps.miners.models import Miner, MinerDay
from poolsite.filecoin.amounts import FIL
from tests import factories
from tests.unit.apps.blocks.billing import (
    FINALITY,
    TIB,
    block,
    chain_to,
    days,
    height_of,
    midnight,
    terms,
    transferred,
)

pytestmark = pytest.mark.django_db
D1, D2, D3 = (date(2026, 10, day) for day in (10, 11, 12))


@pytest.fixture
def miner() -> Miner:
    return factories.miner(2001)


def amounts(kind: str = ChargeKind.REWARDS) -> list[tuple[str, date, int]]:
    rows = Charge.objects.filter(kind=kind).order_by("day", "miner_address")
    return [(row.tenant.name, row.day, int(row.amount)) for row in rows.select_related("tenant")]


def test_a_day_is_charged_its_share_of_rewards_and_its_power(miner: Miner) -> None:
    terms(D1, reward_percent=Decimal("12.5"), power_price=FIL // 100)
    days(miner, D1, D2)
    block(miner, height_of(D1), reward=3 * FIL)
    block(miner, height_of(D2) - 1, reward=FIL // 2, penalty=FIL // 10)
    block(miner, height_of(D2), reward=7 * FIL)  # the next day's
    block(miner, height_of(D1) + 5, state=RoundState.ORPHANED)

    charges_book()

    rewards, power = Charge.objects.get(kind="REWARDS"), Charge.objects.get(kind="POWER")
    assert (rewards.basis, rewards.amount) == (34 * FIL // 10, 425 * FIL // 1000)
    assert (power.basis, power.amount, power.day) == (10 * TIB, FIL // 10, D1)
    assert {rewards.miner_address, power.miner_address} == {"f02001"}
    assert list(MinerDay.objects.filter(is_charged=True).values_list("day", flat=True)) == [D1]


def test_a_day_is_charged_when_the_next_one_is_final_and_no_sooner(miner: Miner) -> None:
    terms(D1, power_price=FIL)
    days(miner, D1, D2)
    chain_to(height_of(D2) + FINALITY - 1)
    due = Prepared("due", f"SELECT EXISTS ({CHARGES})", ["bigint", "timestamptz", "bigint"])

    charges_book()
    assert not Charge.objects.exists()
    [[is_due]] = due.rows([height_of(D2) + FINALITY - 1, midnight(D2), FINALITY])
    assert not is_due

    chain_to(height_of(D2) + FINALITY)
    [[is_due]] = due.rows([height_of(D2) + FINALITY, midnight(D2), FINALITY])
    assert is_due
    charges_book()
    charges_book()
    assert amounts("POWER") == [("alice", D1, 10 * FIL)]


def test_a_block_that_a_reorganisation_took_back_is_not_charged(miner: Miner) -> None:
    terms(D1, reward_percent=Decimal(10))
    days(miner, D1, D2)
    chain_to(height_of(D2) + FINALITY - 1)
    gone = block(miner, height_of(D2) - 1)
    block(miner, height_of(D2) - 2)

    charges_book()
    assert gone.round is not None
    gone.round.state = RoundState.ORPHANED
    gone.round.save()
    chain_to(height_of(D2) + FINALITY)
    charges_book()

    assert amounts() == [("alice", D1, 4 * FIL // 10)]


def test_terms_that_change_charge_each_day_by_those_of_the_day(miner: Miner) -> None:
    terms(D1, power_price=FIL)
    terms(D2, power_price=2 * FIL, now=midnight(D1))
    terms(D2, power_price=3 * FIL, now=midnight(D1))  # changed again before it held
    days(miner, D1 - timedelta(days=1), D3)

    charges_book()

    assert amounts("POWER") == [("alice", D1, 10 * FIL), ("alice", D2, 30 * FIL)]


def test_a_transferred_miner_is_charged_to_who_had_it_as_the_day_began(miner: Miner) -> None:
    terms(D1, reward_percent=Decimal(10))
    terms(D1, of="bob", reward_percent=Decimal(20))
    transferred(miner, to="bob", at=midnight(D2) + timedelta(hours=1))
    transferred(miner, to="carol", at=midnight(D3) + timedelta(hours=1))
    days(miner, D1, D3 + timedelta(days=1))
    for day in (D1, D2, D3):
        block(miner, height_of(day) + 500, reward=FIL)

    charges_book()

    assert amounts() == [("alice", D1, FIL // 10), ("alice", D2, FIL // 10), ("bob", D3, FIL // 5)]


def test_a_day_without_terms_is_charged_nothing_then_or_later(miner: Miner) -> None:
    days(miner, D1, D3)
    block(miner, height_of(D1))

    charges_book()
    terms(D3, reward_percent=Decimal(10), power_price=FIL)
    charges_book()

    assert not Charge.objects.exists()
    assert MinerDay.objects.filter(is_charged=True).count() == 2


def test_unknown_power_is_said_and_costs_nothing(miner: Miner) -> None:
    terms(D1, power_price=FIL)
    days(miner, D1, D1, power=None)
    days(miner, D2, D2)
    MinerDay.objects.filter(day=D2).update(day=D3)  # no head came on the day between

    charges_book()

    rows = Charge.objects.order_by("day").values_list("day", "basis", "amount")
    assert list(rows) == [(D1, None, 0), (D2, None, 0)]


def test_a_miner_without_power_or_blocks_has_no_charge(miner: Miner) -> None:
    terms(D1, reward_percent=Decimal(10), power_price=FIL)
    days(miner, D1, D2, power=0)

    charges_book()

    assert not Charge.objects.exists()
    assert MinerDay.objects.get(day=D1).is_charged


def test_a_day_waits_for_a_reward_that_is_not_known_yet(miner: Miner) -> None:
    terms(D1, reward_percent=Decimal(10))
    days(miner, D1, D1 + timedelta(days=7))
    late = block(miner, height_of(D1), reward=None, penalty=None)

    charges_book()
    assert not MinerDay.objects.get(day=D1).is_charged

    Block.objects.filter(pk=late.pk).update(reward=2 * FIL, penalty=0)
    charges_book()
    assert amounts() == [("alice", D1, FIL // 5)]


def test_a_reward_that_becomes_known_too_late_is_a_correction(miner: Miner) -> None:
    terms(D1, reward_percent=Decimal(10))
    days(miner, D1, D1 + timedelta(days=8))
    late = block(miner, height_of(D1), reward=None, penalty=None)
    later = block(miner, height_of(D1) + 1, reward=None, penalty=None)
    block(miner, height_of(D1) + 2, reward=FIL)

    charges_book()
    corrections_book()
    first = Charge.objects.get()
    assert (first.amount, first.basis, first.unknown_blocks) == (FIL // 10, FIL, 2)

    for row, reward in ((late, 2 * FIL), (later, 3 * FIL)):
        Block.objects.filter(pk=row.pk).update(reward=reward, penalty=0)
        corrections_book()
        corrections_book()

    rows = Charge.objects.filter(kind="CORRECTION").order_by("pk")
    assert [(row.day, row.amount, row.basis) for row in rows] == [
        (D1, 2 * FIL // 10, 3 * FIL),
        (D1, 3 * FIL // 10, 6 * FIL),
    ]
    assert [row.unknown_blocks for row in rows] == [1, 0]


def test_charges_outlive_their_miner_and_are_not_made_again(miner: Miner) -> None:
    terms(D1, power_price=FIL)
    days(miner, D1, D2)
    charges_book()
    miner.delete()

    again = factories.miner(2001)
    days(again, D1, D2)
    charges_book()

    [row] = Charge.objects.all()
    assert (row.miner, row.miner_address, row.amount) == (None, "f02001", 10 * FIL)


def test_a_long_stop_is_charged_when_the_pool_is_back(miner: Miner) -> None:
    terms(D1, reward_percent=Decimal(10))
    days(miner, D1, D1)
    block(miner, height_of(D2), reward=FIL)
    back = D1 + timedelta(days=60)
    days(miner, back, back)

    charges_book()

    assert amounts() == [("alice", D1, FIL // 10)]


def test_nothing_is_charged_before_the_chain_was_read(miner: Miner) -> None:
    terms(D1, power_price=FIL)
    days(miner, D1, D2)
    Tracker.objects.all().delete()

    charges_book()
    statements_close(now=datetime(2026, 11, 2, tzinfo=midnight(D1).tzinfo))

    assert not Charge.objects.exists()


def test_the_step_of_a_head_charges_days_and_closes_months(miner: Miner) -> None:
    november = date(2026, 11, 1)
    terms(D1, power_price=FIL)
    days(miner, D1, november)

    charges_follow(height=height_of(november) + FINALITY, key="")

    [row] = Statement.objects.all()
    assert (row.month, row.total) == (date(2026, 10, 1), 22 * 10 * FIL)


def test_the_number_of_queries_does_not_grow_with_miners() -> None:
    terms(D1, reward_percent=Decimal(10), power_price=FIL)

    def asked(first: int, count: int, day: date) -> int:
        for number in range(count):
            days(factories.miner(first + number), day, day + timedelta(days=1))
        with CaptureQueriesContext(connection) as queries:
            charges_book()
        return len(queries)

    assert asked(2001, 1, D1) == asked(3001, 5, D2)
    assert Charge.objects.count() == 6
