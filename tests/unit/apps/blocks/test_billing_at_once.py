"""Two processes that charge or close at the same moment, and one that is killed between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from apps.blocks.models import Charge, Statement
from apps.blocks.services.charges import charges_book
from apps.blocks.services.statements import statement_close, statements_close
from apps.core.errors import BadValue
from apps.miners.models import MinerDay
from poolsite.filecoin.amounts import FIL
from tests import factories, people
from tests.unit.apps.blocks.billing import days, midnight, terms

pytestmark = pytest.mark.django_db(transaction=True)
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
D15 = date(2026, 10, 15)


def test_a_month_that_two_close_at_once_is_closed_once(beside: Callable[..., list[Any]]) -> None:
    terms(D15, monthly_sum=31 * FIL, power_price=FIL)
    days(factories.miner(2001), D15, NOVEMBER)
    charges_book()
    alice = people.tenant("alice")

    def close() -> Statement | None:
        return statement_close(alice.pk, month=OCTOBER, now=midnight(NOVEMBER))

    one, two, has_waited = beside(close, "apps.blocks.services.statements._monthly_charges", close)

    assert (one, two, has_waited) == (Statement.objects.get(), None, True)
    assert one.total == 17 * 11 * FIL
    assert Charge.objects.filter(kind="MONTHLY").count() == 1


def test_a_day_that_two_charge_at_once_is_charged_once(beside: Callable[..., list[Any]]) -> None:
    terms(D15, power_price=FIL)
    days(factories.miner(2001), D15, D15 + timedelta(days=1))

    _, _, has_waited = beside(charges_book, "apps.blocks.services.charges.rewards_by_span", charges_book)

    assert has_waited
    assert [int(row.amount) for row in Charge.objects.all()] == [10 * FIL]


def test_terms_set_while_their_day_is_charged_are_refused(beside: Callable[..., list[Any]]) -> None:
    terms(D15, power_price=FIL)
    days(factories.miner(2001), D15, D15 + timedelta(days=1))

    _, refused, has_waited = beside(
        charges_book,
        "apps.blocks.services.charges.rewards_by_span",
        lambda: terms(D15, power_price=2 * FIL),
    )

    assert has_waited
    assert isinstance(refused, BadValue)
    assert Charge.objects.get().amount == 10 * FIL


@pytest.mark.parametrize("point", ["rewards_by_span", "_charges_of", "MinerDay.objects.filter"])
def test_a_kill_while_a_day_is_charged_leaves_it_for_later(
    monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    terms(D15, power_price=FIL)
    days(factories.miner(2001), D15, D15 + timedelta(days=1))

    def killed(*_args: object, **_values: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"apps.blocks.services.charges.{point}", killed)
        with pytest.raises(KeyboardInterrupt):
            charges_book()
    assert not Charge.objects.exists()
    assert not MinerDay.objects.filter(is_charged=True).exists()

    charges_book()
    assert Charge.objects.get().amount == 10 * FIL


def test_a_kill_while_a_month_is_closed_leaves_it_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    terms(D15, monthly_sum=31 * FIL)
    days(factories.miner(2001), D15, NOVEMBER)
    charges_book()

    def killed(*_args: object, **_values: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("apps.blocks.services.statements.Sum", killed)
        with pytest.raises(KeyboardInterrupt):
            statements_close(now=midnight(NOVEMBER))
    assert not Statement.objects.exists()
    assert not Charge.objects.exists()

    statements_close(now=midnight(NOVEMBER))
    assert Statement.objects.get().total == 17 * FIL
