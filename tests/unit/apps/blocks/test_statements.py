"""Statements: when a month is closed, what it adds up to, and how one is paid."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest

from apps.blocks.models import BillingTerms, Charge, Statement
from apps.blocks.selectors.billing import charge_lines
from apps.blocks.services.billing_terms import correction_add
from apps.blocks.services.statements import payment_record, payment_remove
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.miners.models import Miner
from apps.users.models import AuditEntry, Tenant
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.amounts import FIL
from tests import factories, people
from tests.unit.apps.blocks.billing import (
    FINALITY,
    TIB,
    block,
    chain_to,
    days,
    height_of,
    midnight,
    settle,
    terms,
    total,
    transferred,
)

OCTOBER, NOVEMBER, DECEMBER = date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1)
D15 = date(2026, 10, 15)


@pytest.fixture
def miner(db: None) -> Miner:
    return factories.miner(2001)


def months(of: str = "alice") -> dict[str, int]:
    rows = Statement.objects.filter(tenant__name=of).order_by("month")
    return {f"{row.month:%Y-%m}": int(row.total) for row in rows}


def test_a_month_is_closed_when_all_its_days_are_final(miner: Miner) -> None:
    terms(D15, power_price=FIL, monthly_sum=31 * FIL)
    days(miner, D15, NOVEMBER)
    chain_to(height_of(NOVEMBER) + FINALITY - 1)

    settle(NOVEMBER)
    assert months() == {}

    chain_to(height_of(NOVEMBER) + FINALITY)
    settle(NOVEMBER)
    settle(NOVEMBER)
    assert months() == {"2026-10": 17 * 10 * FIL + 17 * FIL}
    assert not Charge.objects.filter(statement=None).exists()


def test_terms_of_a_part_of_the_month_pay_for_their_days(miner: Miner) -> None:
    terms(OCTOBER, monthly_sum=FIL)
    terms(D15, monthly_sum=2 * FIL, now=midnight(OCTOBER))
    days(miner, OCTOBER, NOVEMBER)

    settle(NOVEMBER)

    rows = Charge.objects.filter(kind="MONTHLY").order_by("day")
    assert [(row.day, row.basis, row.amount) for row in rows] == [
        (OCTOBER, 14, FIL * 14 // 31),
        (D15, 17, 2 * FIL * 17 // 31),
    ]


def test_a_month_waits_for_a_day_that_is_not_charged_yet(miner: Miner) -> None:
    other = factories.miner(2002)
    terms(D15, power_price=FIL)
    days(other, D15, NOVEMBER - timedelta(days=1))
    days(miner, D15, NOVEMBER + timedelta(days=3))

    settle(NOVEMBER)
    assert months() == {}, "a node does not say what the other miner held on the first"

    days(other, NOVEMBER, NOVEMBER)
    chain_to(height_of(NOVEMBER) + 3000 + FINALITY)
    settle(NOVEMBER)
    assert months() == {"2026-10": 2 * 17 * 10 * FIL}


def test_a_miner_that_nobody_can_read_holds_a_month_up_for_a_week(miner: Miner) -> None:
    other = factories.miner(2002)
    terms(D15, power_price=FIL)
    days(other, D15, NOVEMBER - timedelta(days=1))
    days(miner, D15, NOVEMBER + timedelta(days=7))

    settle(NOVEMBER)
    assert months() == {"2026-10": (17 + 16) * 10 * FIL}

    days(other, DECEMBER, DECEMBER)
    settle(DECEMBER)
    late = Charge.objects.select_related("statement").get(miner_address="f02002", day=date(2026, 10, 31))
    assert late.statement is not None
    assert (late.amount, late.statement.month) == (10 * FIL, NOVEMBER)


def test_each_missed_month_is_closed_after_a_long_stop(miner: Miner) -> None:
    terms(D15, monthly_sum=FIL, power_price=FIL)
    days(miner, D15, date(2026, 10, 16))
    days(miner, date(2027, 1, 5), date(2027, 1, 6))

    settle(date(2027, 1, 6))

    assert months() == {"2026-10": 20 * FIL + FIL * 17 // 31, "2026-11": FIL, "2026-12": FIL}
    unknown = Charge.objects.filter(statement__month=NOVEMBER, kind="POWER")
    assert set(unknown.values_list("basis", "amount")) == {(None, 0)}
    assert unknown.count() == 30


def test_a_deleted_tenant_pays_no_month_after_its_last_day(miner: Miner) -> None:
    terms(OCTOBER, monthly_sum=31 * FIL)
    bob = people.tenant("bob")
    terms(OCTOBER, of="bob", monthly_sum=31 * FIL)
    Tenant.objects.filter(pk=bob.pk).update(deleted_at=midnight(date(2026, 10, 10)), name="bob~1")
    days(miner, OCTOBER, date(2027, 1, 1))

    settle(date(2027, 1, 1))

    assert months("bob~1") == {"2026-10": 10 * FIL}
    assert list(months()) == ["2026-10", "2026-11", "2026-12"]


def test_a_transferred_miner_is_on_the_statements_of_both(miner: Miner) -> None:
    for name in ("alice", "bob"):
        terms(OCTOBER, of=name, power_price=FIL)
    transferred(miner, to="bob", at=midnight(D15) + timedelta(hours=12))
    days(miner, OCTOBER, NOVEMBER)

    settle(NOVEMBER)

    assert (months("alice"), months("bob")) == ({"2026-10": 150 * FIL}, {"2026-10": 160 * FIL})


def test_a_closed_statement_keeps_its_sum_and_corrections_go_to_the_next(miner: Miner) -> None:
    terms(D15, monthly_sum=31 * FIL)
    days(miner, D15, NOVEMBER)
    settle(NOVEMBER)
    alice = people.tenant("alice")

    correction_add(principal=SYSTEM, tenant=alice, amount=-FIL, note="outage", now=midnight(NOVEMBER))
    days(miner, NOVEMBER + timedelta(days=1), DECEMBER)
    settle(DECEMBER)

    assert months() == {"2026-10": 17 * FIL, "2026-11": 30 * FIL}
    assert sum(months().values()) == total(alice)


def test_a_tenant_that_owes_nothing_has_no_statement(miner: Miner) -> None:
    terms(D15, reward_percent=Decimal(10))
    days(miner, D15, NOVEMBER)

    settle(NOVEMBER)

    assert months() == {}


def test_a_statement_is_paid_once_and_may_be_open_again(miner: Miner) -> None:
    terms(D15, monthly_sum=31 * FIL)
    days(miner, D15, NOVEMBER)
    settle(NOVEMBER)
    row, at = Statement.objects.get(), midnight(NOVEMBER)

    for _ in range(2):
        payment_record(principal=SYSTEM, statement=row, payment=" bafy1 ", now=at)
    with pytest.raises(Conflict):
        payment_record(principal=SYSTEM, statement=row, payment="bafy2", now=at)
    row.refresh_from_db()
    assert (row.paid_at, row.payment) == (at, "bafy1")

    for _ in range(2):
        payment_remove(principal=SYSTEM, statement=row)
    row.refresh_from_db()
    assert (row.paid_at, row.payment, row.total) == (None, "", 17 * FIL)
    actions = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["billing.terms", "statement.pay", "statement.unpay"]


def test_only_the_operator_marks_as_paid_and_with_a_reference(miner: Miner) -> None:
    terms(D15, monthly_sum=31 * FIL)
    days(miner, D15, NOVEMBER)
    settle(NOVEMBER)
    row, at = Statement.objects.get(), midnight(NOVEMBER)

    for principal in (people.principal("alice", "admin"), people.principal("alice", "read")):
        with pytest.raises(NotAllowed):
            payment_record(principal=principal, statement=row, payment="x", now=at)
        with pytest.raises(NotAllowed):
            payment_remove(principal=principal, statement=row)
    for text in (" ", "x" * 201):
        with pytest.raises(BadValue):
            payment_record(principal=SYSTEM, statement=row, payment=text, now=at)


@pytest.mark.parametrize("seed", range(12))
def test_lines_and_charges_add_up_to_their_statement(miner: Miner, seed: int) -> None:
    drawn, alice = Random(seed), people.tenant("alice")
    for _ in range(drawn.randint(1, 3)):
        BillingTerms.objects.create(
            tenant=alice,
            from_day=OCTOBER + timedelta(days=drawn.randint(0, 30)),
            reward_percent=Decimal(drawn.randint(0, 1_000_000)).scaleb(-4),
            power_price=drawn.randint(0, 10**24),
            monthly_sum=drawn.randint(0, 10**24),
            created_at=midnight(OCTOBER),
        )
    days(miner, OCTOBER, NOVEMBER, power=drawn.choice([None, drawn.randint(1, 1 << 62)]))
    for height in drawn.sample(range(height_of(OCTOBER), height_of(NOVEMBER)), 5):
        block(miner, height, reward=drawn.randint(0, 10**19), penalty=drawn.randint(0, 10**18))
    credit = drawn.randint(-(10**24), -1)
    correction_add(principal=SYSTEM, tenant=alice, amount=credit, note="x", now=midnight(OCTOBER))

    settle(NOVEMBER)

    row = Statement.objects.get()
    charges = list(row.charges.select_related("terms"))
    assert row.total == sum(line.amount for line in charge_lines(row.charges.all()))
    assert row.total == sum(int(one.amount) for one in charges) == total(alice)
    for one in charges:
        assert one.amount == expected(one), one


def expected(row: Charge) -> int:
    """The same from the row alone, in fractions."""
    if row.terms is None or row.basis is None:
        return int(row.amount) if row.terms is None else 0
    terms, basis = row.terms, int(row.basis)
    exact = {
        "REWARDS": max(basis, 0) * Fraction(terms.reward_percent) / 100,
        "POWER": Fraction(basis * int(terms.power_price), TIB),
        "MONTHLY": Fraction(int(terms.monthly_sum) * basis, monthrange(row.day.year, row.day.month)[1]),
    }[row.kind]
    return int(exact)


def test_corrections_move_no_other_month(miner: Miner) -> None:
    alice = people.tenant("alice")
    correction_add(principal=SYSTEM, tenant=alice, amount=FIL, note="set-up", now=midnight(D15))
    days(miner, NOVEMBER, DECEMBER)

    settle(DECEMBER)

    assert months() == {"2026-10": FIL}
