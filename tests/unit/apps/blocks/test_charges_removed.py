"""What is charged of a miner that was removed from the pool: its days until then, to whose they were."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from apps.blocks.due import CHARGES
from apps.blocks.models import Charge, Statement
from apps.blocks.services.charges import charges_book
from apps.core.prepared_statements import Prepared
from apps.miners.models import Miner, MinerDay, RemovedMinerDay
from apps.miners.services.remove import miner_remove
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.amounts import FIL
from tests import factories
from tests.unit.apps.blocks.billing import (
    FINALITY,
    block,
    chain_to,
    days,
    height_of,
    midnight,
    settle,
    terms,
    transferred,
)

pytestmark = pytest.mark.django_db
D1, D2, D3 = (date(2026, 10, day) for day in (29, 30, 31))
NOVEMBER = date(2026, 11, 1)


def charged() -> list[tuple[str, date, str, int]]:
    rows = Charge.objects.select_related("tenant").order_by("day", "tenant__name", "-kind")
    return [(row.tenant.name, row.day, row.kind, int(row.amount)) for row in rows]


def removed(miner: Miner, *, at: int) -> None:
    """Remove a miner at a height."""
    chain_to(at)
    miner_remove(miner, principal=SYSTEM)


def test_a_removed_miner_is_charged_for_its_days_until_then() -> None:
    terms(D1, reward_percent=Decimal(10), power_price=FIL)
    miner = factories.miner(2001)
    days(miner, D1, D2, power=1 << 40)
    block(miner, height_of(D1), reward=2 * FIL)
    block(miner, height_of(D2) + 5, reward=3 * FIL)
    removed(miner, at=height_of(D2) + 10)

    chain_to(height_of(D2) + FINALITY - 1)
    charges_book()
    assert charged() == []
    chain_to(height_of(D2) + FINALITY)
    charges_book()
    assert [day for _, day, _, _ in charged()] == [D1, D1]
    chain_to(height_of(D2) + 11 + FINALITY)
    for _ in range(2):
        charges_book()

    assert charged() == [
        ("alice", D1, "REWARDS", 2 * FIL // 10),
        ("alice", D1, "POWER", FIL),
        ("alice", D2, "REWARDS", 3 * FIL // 10),
        ("alice", D2, "POWER", FIL),
    ]
    assert not RemovedMinerDay.objects.exists()
    assert {row.miner_address for row in Charge.objects.all()} == {"f02001"}


def test_a_removed_miners_days_are_charged_to_whose_they_were() -> None:
    for name in ("alice", "bob"):
        terms(D1, of=name, power_price=FIL)
    miner = factories.miner(2001)
    days(miner, D1, D2, power=1 << 40)
    transferred(miner, to="bob", at=midnight(D2))
    MinerDay.objects.filter(day=D1).update(is_charged=True)
    transferred(miner, to="carol", at=midnight(D3))
    removed(miner, at=height_of(D2) + 10)

    chain_to(height_of(D3) + FINALITY)
    charges_book()

    assert charged() == [("bob", D2, "POWER", FIL)]


def test_a_month_waits_for_the_days_of_a_removed_miner() -> None:
    terms(D1, power_price=FIL)
    gone, other = factories.miner(2001), factories.miner(2002)
    days(gone, D3, D3, power=1 << 40)
    days(other, D3, NOVEMBER, power=1 << 40)
    removed(gone, at=height_of(NOVEMBER) + 50)

    chain_to(height_of(NOVEMBER) + FINALITY)
    settle(NOVEMBER)
    assert not Statement.objects.exists()
    chain_to(height_of(NOVEMBER) + 51 + FINALITY)
    settle(NOVEMBER)

    assert [int(row.total) for row in Statement.objects.all()] == [2 * FIL]


def test_a_head_is_due_to_charge_a_removed_miner() -> None:
    due = Prepared("charges_due_removed", CHARGES, ("bigint", "bigint", "bigint"))
    miner = factories.miner(2001)
    days(miner, D1, D1)
    removed(miner, at=height_of(D1) + 10)
    end = height_of(D1) + 11

    assert not due.rows([end + FINALITY - 1, 0, FINALITY])
    assert due.rows([end + FINALITY, 0, FINALITY])


def test_a_miner_imported_again_is_charged_both_parts_of_its_day() -> None:
    terms(D1, reward_percent=Decimal(10), power_price=FIL)
    miner = factories.miner(2001)
    days(miner, D1, D1, power=1 << 40)
    block(miner, height_of(D1), reward=FIL)
    removed(miner, at=height_of(D1) + 10)
    again = factories.miner(2001)
    factories.miner_day(again, began_at=midnight(D1), height=height_of(D1) + 500, qa_power=1 << 40)
    block(again, height_of(D1) + 600, reward=2 * FIL)
    days(again, D2, D2)

    charges_book()

    assert charged() == [
        ("alice", D1, "REWARDS", FIL // 10),
        ("alice", D1, "POWER", FIL),
        ("alice", D1, "CORRECTION", 2 * FIL // 10),
    ]
