"""Terms of tenants: what they may be, from when on, and that what was charged stays."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.blocks.errors import CorrectionKeyReused
from apps.blocks.models import BillingTerms, Charge
from apps.blocks.services.billing_terms import billing_terms_set, correction_add
from apps.blocks.services.charges import charges_book
from apps.core.errors import BadValue, NotAllowed
from apps.users.models import AuditEntry, Tenant
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.amounts import FIL, TOTAL_FILECOIN
from tests import factories, people
from tests.unit.apps.blocks.billing import days, midnight, settle, terms

pytestmark = pytest.mark.django_db
D1 = date(2026, 10, 10)


def test_new_terms_hold_from_the_first_unsettled_day_on() -> None:
    miner = factories.miner(2001)
    terms(D1, power_price=FIL)
    days(miner, D1, D1 + timedelta(days=2))

    for wrong in (D1, D1 + timedelta(days=1)):
        with pytest.raises(BadValue) as refused:
            terms(wrong, power_price=2 * FIL)
        assert refused.value.field == "from_day"
    terms(D1 + timedelta(days=2), power_price=2 * FIL)
    days(miner, D1 + timedelta(days=3), D1 + timedelta(days=3))
    charges_book()

    assert [row.amount // (10 * FIL) for row in Charge.objects.order_by("day")] == [1, 1, 2]
    assert BillingTerms.objects.count() == 2, "the history is kept"


def test_a_pool_without_days_takes_terms_from_today_on() -> None:
    with pytest.raises(BadValue):
        terms(D1 - timedelta(days=1), now=midnight(D1), monthly_sum=FIL)
    terms(D1, now=midnight(D1), monthly_sum=FIL)


def test_a_closed_month_takes_no_terms_though_its_miner_is_gone() -> None:
    miner = factories.miner(2001)
    terms(D1, monthly_sum=FIL)
    november = date(2026, 11, 1)
    days(miner, D1, november)
    settle(november)
    miner.delete()

    with pytest.raises(BadValue):
        terms(D1, now=midnight(D1), monthly_sum=FIL)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reward_percent", Decimal("100.0001")),
        ("reward_percent", Decimal(-1)),
        ("reward_percent", Decimal("0.00001")),
        ("reward_percent", Decimal("NaN")),
        ("power_price", -1),
        ("monthly_sum", TOTAL_FILECOIN + 1),
    ],
)
def test_terms_that_cannot_be_are_refused_by_field(field: str, value: Any) -> None:
    factories.network()

    with pytest.raises(BadValue) as refused:
        terms(D1, **{field: value})

    assert refused.value.field == field
    assert not BillingTerms.objects.exists()


def test_only_the_operator_sets_terms_and_corrects() -> None:
    factories.network()
    alice = people.tenant("alice")
    values: dict[str, Any] = {"reward_percent": Decimal(0), "power_price": 0, "monthly_sum": 0}

    for who in (people.principal("alice", "admin"), people.principal("bob", "admin")):
        with pytest.raises(NotAllowed):
            billing_terms_set(principal=who, tenant=alice, from_day=D1, now=midnight(D1), **values)
        with pytest.raises(NotAllowed):
            correction_add(principal=who, tenant=alice, amount=1, note="x", now=midnight(D1))


def test_terms_and_corrections_are_in_the_audit_log() -> None:
    factories.network()
    terms(D1, reward_percent=Decimal("12.5000"), power_price=FIL // 100)
    terms(D1, monthly_sum=3 * FIL)
    correction_add(
        principal=SYSTEM, tenant=people.tenant("alice"), amount=-FIL, note="outage", now=midnight(D1)
    )

    first, second, third = AuditEntry.objects.order_by("pk")
    assert (first.action, first.target, first.before) == ("billing.terms", "alice", None)
    assert first.after == {
        "from": "2026-10-10",
        "rewards": "12.5 %",
        "power": "0.01 FIL per TiB and day",
        "monthly": "0 FIL",
    }
    later = {"rewards": "0 %", "power": "0 FIL per TiB and day", "monthly": "3 FIL"}
    assert (second.before, second.after) == (first.after, {**first.after, **later})
    assert (third.action, third.after) == ("billing.correct", {"amount": "-1 FIL", "note": "“outage”"})


@pytest.mark.parametrize(("amount", "note"), [(0, "x"), (1, " "), (TOTAL_FILECOIN + 1, "x")])
def test_a_correction_needs_an_amount_and_a_reason(amount: int, note: str) -> None:
    with pytest.raises(BadValue):
        correction_add(
            principal=SYSTEM, tenant=people.tenant("alice"), amount=amount, note=note, now=midnight(D1)
        )


def test_a_correction_is_added_once_for_its_key() -> None:
    alice, bob, key = people.tenant("alice"), people.tenant("bob"), "k" * 32

    def correct(of: Tenant, amount: int = FIL) -> Charge:
        return correction_add(
            principal=SYSTEM, tenant=of, amount=amount, note="outage", now=midnight(D1), key=key
        )

    first = correct(alice)
    assert (correct(alice).pk, Charge.objects.count()) == (first.pk, 1)
    assert AuditEntry.objects.count() == 1
    with pytest.raises(CorrectionKeyReused):
        correct(alice, 2 * FIL)
    assert correct(bob).tenant == bob, "the key is of one tenant"
