"""What miners held as days began: when it is written, of which tipset, and what messages moved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from apps.chain.errors import NodeRefused
from apps.chain.models import Head
from apps.messages.models import Tracker
from apps.miners.models import Miner, MinerDay
from apps.miners.services import days
from apps.miners.services.days import SETTLED_EPOCHS, miner_days_record
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_control import WithdrawBalanceReturn
from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.codec import to_cbor
from tests import factories

pytestmark = pytest.mark.django_db
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
FIRST = 1000
"""The first tipset of the day, of one every 30 s."""


class Funds:
    """Stands where miners are read: what each holds at a tipset."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.refused: set[str] = set()

    def __call__(self, _client: Any, address: str, key: str) -> Any:
        self.asked.append((address, key))
        if address in self.refused:
            raise NodeRefused(1, "actor not found")
        return SimpleNamespace(
            balance=9 * FIL,
            available=5 * FIL,
            pledge=FIL,
            deposits=FIL,
            locked=2 * FIL,
            fee_debt=0,
            qa_power=10 << 40,
        )


@pytest.fixture
def funds(monkeypatch: pytest.MonkeyPatch) -> Funds:
    funds = Funds()
    monkeypatch.setattr(days, "miner_facts", funds)
    return funds


def chain_to(height: int, *, arrived: Callable[[datetime], datetime] = lambda at: at) -> dict[int, Head]:
    """Extend the chain to a height, and read it so far; each tipset comes at its time, or another."""
    known = {}
    for at in range(FIRST - 60, height + 1):
        mined_at = MIDNIGHT + timedelta(seconds=30 * (at - FIRST))
        known[at] = factories.head(at, timestamp=int(mined_at.timestamp()), arrived_at=arrived(mined_at))
    Tracker.objects.update_or_create(pk=1, defaults={"height": height, "key": known[height].key})
    return known


def record(at: datetime) -> None:
    miner_days_record(list(Miner.objects.order_by("pk")), client=None, now=at)  # type: ignore[arg-type]  # not asked


def day_before(miner: Miner, **values: Any) -> MinerDay:
    return factories.miner_day(
        miner, **{"began_at": MIDNIGHT - timedelta(days=1), "height": FIRST - 50, **values}
    )


def test_a_day_begins_with_its_first_tipset_once_that_is_settled(funds: Funds) -> None:
    miner = factories.miner(2001)
    day_before(miner)
    known = chain_to(FIRST + SETTLED_EPOCHS - 1)

    record(MIDNIGHT + timedelta(minutes=9))
    assert not funds.asked, "a reorganisation may still take it back"

    factories.head(FIRST + SETTLED_EPOCHS, timestamp=int(MIDNIGHT.timestamp()) + 600)
    Tracker.objects.update(height=FIRST + SETTLED_EPOCHS)
    record(MIDNIGHT + timedelta(minutes=10))
    record(MIDNIGHT + timedelta(minutes=11))

    assert funds.asked == [("f02001", known[FIRST].key)]
    row = MinerDay.objects.get(day=date(2026, 11, 20))
    assert (row.height, row.began_at, row.balance, row.available) == (FIRST, MIDNIGHT, 9 * FIL, 5 * FIL)
    assert (row.pledge, row.deposits, row.locked, row.fee_debt) == (FIL, FIL, 2 * FIL, 0)
    assert row.qa_power == 10 << 40


def test_a_new_miner_begins_where_the_chain_is_settled(funds: Funds) -> None:
    factories.miner(2001)
    known = chain_to(FIRST + 35)

    record(MIDNIGHT + timedelta(minutes=17))

    assert funds.asked == [("f02001", known[FIRST + 35 - SETTLED_EPOCHS].key)]
    assert MinerDay.objects.get().began_at == MIDNIGHT + timedelta(seconds=30 * 15)


def test_a_miner_that_a_node_refuses_stops_no_other_and_is_tried_again(funds: Funds) -> None:
    refused, other = factories.miner(2001), factories.miner(2002)
    chain_to(FIRST + 35)
    funds.refused.add("f02001")

    record(MIDNIGHT + timedelta(minutes=17))
    assert [row.miner for row in MinerDay.objects.all()] == [other]

    funds.refused.clear()
    record(MIDNIGHT + timedelta(minutes=18))
    assert set(MinerDay.objects.values_list("miner", flat=True)) == {refused.pk, other.pk}


def test_what_messages_moved_since_the_day_before_is_written_with_a_day(funds: Funds) -> None:
    miner = factories.miner(2001)
    before = day_before(miner)
    chain_to(FIRST + 35)
    landed: dict[str, Any] = {"state": "LANDED", "to": "f02001"}
    withdrawn: dict[str, Any] = {"method": int(Method.WITHDRAW_BALANCE)}
    paid = to_cbor(WithdrawBalanceReturn(AttoFil(2 * FIL)))
    factories.message(value=3 * FIL, height=before.height, **landed)
    factories.message(value=4 * FIL, height=FIRST - 1, **landed)
    factories.message(return_data=paid, height=FIRST - 1, **withdrawn, **landed)
    others: list[dict[str, Any]] = [
        {"height": before.height - 1},
        {"height": FIRST},
        {"height": FIRST - 1, "exit_code": 16},
        {"height": FIRST - 1, "to": "f02002"},
    ]
    for values in others:
        factories.message(**{"value": FIL, "return_data": paid, **withdrawn, **landed, **values})

    record(MIDNIGHT + timedelta(minutes=17))

    row = MinerDay.objects.get(day=date(2026, 11, 20))
    assert (row.received, row.withdrawn) == (7 * FIL, 2 * FIL)


def test_no_day_begins_with_a_tipset_of_the_day_before(funds: Funds) -> None:
    day_before(factories.miner(2001))
    chain_to(FIRST - 1)

    record(MIDNIGHT + timedelta(seconds=5))

    assert not funds.asked


def test_a_chain_whose_clock_is_behind_has_days_all_the_same(funds: Funds) -> None:
    day_before(factories.miner(2001), day=date(2026, 11, 24))
    pause = timedelta(days=5)
    chain_to(FIRST + 35, arrived=lambda mined_at: mined_at + pause)

    record(MIDNIGHT + pause + timedelta(seconds=30 * 35))

    assert MinerDay.objects.get(day=date(2026, 11, 25)).height == FIRST + 35 - SETTLED_EPOCHS


def test_nodes_that_catch_up_still_have_the_first_tipset_to_come(funds: Funds) -> None:
    day_before(factories.miner(2001), day=date(2026, 11, 24))
    now = MIDNIGHT + timedelta(days=5)
    chain_to(FIRST + 35, arrived=lambda _mined_at: now)

    record(now)

    assert not funds.asked
