"""A miner's money by days: what each line counts, and that every line adds up to the balance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils.timezone import override

from apps.blocks.models import Block, Round
from apps.blocks.selectors.money import (
    MoneyLine,
    gas_parts,
    lines_sum,
    lines_total,
    money_by_miner,
    money_of,
)
from apps.blocks.selectors.rewards import rewards_by_day
from apps.blocks.states import RoundState
from apps.core.day_ranges import last_days
from apps.messages.models import GasSpend, Receiver
from apps.messages.states import MessageState
from apps.miners.models import Miner, MinerDay
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_control import WithdrawBalanceReturn
from poolsite.filecoin.actors.multisig import ApproveReturn, ProposeParams, ProposeReturn, TxnIDParams
from poolsite.filecoin.actors.multisig import Method as MultisigMethod
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.codec import to_cbor
from tests import factories

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MIDNIGHT = NOW.replace(hour=0)
MULTISIG = "f03030"


@pytest.fixture(autouse=True)
def _network() -> None:
    factories.network()


def miner_with_days(actor_id: int = 2001, *, balances: tuple[int, ...] = (100, 110), **values: Any) -> Miner:
    """A miner whose last day began at height 2000, and each day before it 1000 heights below."""
    data = {"refreshed_height": 2500, "balance": 115 * FIL, **values}
    miner = factories.miner(actor_id, **data)
    for age, balance in enumerate(reversed(balances)):
        began_at, height = MIDNIGHT - timedelta(days=age), 2000 - 1000 * age
        factories.miner_day(miner, began_at=began_at, height=height, balance=balance * FIL)
    return miner


def money_lines(miner: Miner, *, days: int) -> list[MoneyLine]:
    return money_of(miner, viewer=SYSTEM, days=last_days(days, now=NOW)).lines


def block(miner: Miner, height: int, *, state: str = RoundState.INCLUDED, **values: Any) -> Block:
    row = Round.objects.create(
        miner=miner, epoch=height, base_height=height - 1, at=NOW, expected=1.0, win_count=1, state=state
    )
    data = {"reward": 4 * FIL, "penalty": 0, "genesis": "genesis", **values}
    return Block.objects.create(
        actor_id=miner.actor_id or 0,
        height=height,
        parents=height.to_bytes(32, "big"),
        unsigned=b"",
        cid=factories.cid(f"block {height}"),
        round=row,
        **data,
    )


def test_blocks_count_in_the_span_of_their_height() -> None:
    miner = miner_with_days()
    block(miner, 999)  # before the first day
    block(miner, 1000)
    block(miner, 1999, penalty=FIL)
    block(miner, 2000)
    block(miner, 2500)  # its reward is not in the balance of the head yet

    today, yesterday = money_lines(miner, days=7)

    assert (yesterday.blocks, yesterday.reward, yesterday.penalty) == (2, 8 * FIL, FIL)
    assert (yesterday.opening, yesterday.closing, yesterday.other) == (100 * FIL, 110 * FIL, 3 * FIL)
    assert (yesterday.other_cost, yesterday.net) == (0, 7 * FIL), "what came from elsewhere is no earning"
    assert (today.blocks, today.reward, today.other) == (1, 4 * FIL, FIL)
    assert (today.begin, today.end) == (MIDNIGHT, None)
    assert yesterday.end == MIDNIGHT


def test_blocks_that_brought_nothing_or_not_yet_are_told_apart() -> None:
    miner = miner_with_days(balances=(110,))
    block(miner, 2100, state=RoundState.ORPHANED)
    block(miner, 2101, reward=None, penalty=None)
    block(miner, 2102, state=RoundState.SUBMITTED)
    block(miner, 2103, genesis="another chain")

    (line,) = money_lines(miner, days=1)

    assert (line.blocks, line.unknown_rewards, line.reward) == (0, 1, 0)


def test_gas_counts_in_its_day_and_the_rest_below_zero_is_a_cost() -> None:
    miner = miner_with_days(balances=(100, 110), balance=108 * FIL)
    for day, cost in (
        (MIDNIGHT, FIL),
        (MIDNIGHT - timedelta(days=1), 2 * FIL),
        (MIDNIGHT - timedelta(days=2), 9),
    ):
        for to in ("f02001", str(miner.robust), "f02002"):
            GasSpend.objects.create(
                day=day.date(), from_addr=factories.bls(1), to=to, method=5, messages=1, gas_used=1, cost=cost
            )

    today, yesterday = money_lines(miner, days=7)

    names = len(miner.names)
    assert (today.gas, yesterday.gas) == (names * FIL, names * 2 * FIL)
    assert (today.other, today.other_cost, today.net) == (-2 * FIL, 2 * FIL, -names * FIL - 2 * FIL)


def test_a_line_reaches_over_days_that_were_not_recorded() -> None:
    miner = miner_with_days(balances=(90, 100, 110))
    MinerDay.objects.filter(day=(MIDNIGHT - timedelta(days=1)).date()).delete()
    GasSpend.objects.create(
        day=(MIDNIGHT - timedelta(days=1)).date(),
        from_addr=factories.bls(1),
        to="f02001",
        method=5,
        messages=1,
        gas_used=1,
        cost=7,
    )
    block(miner, 1500)

    _today, before = money_lines(miner, days=7)

    assert (before.begin, before.end) == (MIDNIGHT - timedelta(days=2), MIDNIGHT)
    assert (before.blocks, before.gas, before.opening, before.closing) == (1, 7, 90 * FIL, 110 * FIL)


def test_totals_are_the_sums_of_their_lines() -> None:
    miner = miner_with_days(balances=(100, 110), balance=108 * FIL)
    other = miner_with_days(2002, balances=(50,), balance=53 * FIL)
    block(miner, 1500)

    found = money_by_miner([miner, other], days=last_days(7, now=NOW), gas=[])
    one, two = lines_sum(found[miner.pk].lines), lines_sum(found[other.pk].lines)
    both = lines_total([one, two])

    assert (one.opening, one.closing, one.reward) == (100 * FIL, 108 * FIL, 4 * FIL)
    assert (one.other, one.other_cost) == (4 * FIL, 2 * FIL), "6 came on the first day, 2 went on the second"
    assert (both.opening, both.closing, both.other_cost) == (150 * FIL, 161 * FIL, 2 * FIL)
    assert both.net == one.net + two.net


def test_the_number_of_queries_does_not_grow_with_miners(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    miners = [miner_with_days(2001 + number) for number in range(5)]

    days = last_days(30, now=NOW)
    with django_assert_num_queries(10):
        money_by_miner(miners, days=days, gas=gas_parts(SYSTEM, days))


def test_a_miner_without_days_has_no_lines() -> None:
    assert money_lines(factories.miner(2001), days=30) == []


def test_rewards_are_by_utc_day_whatever_the_pages_zone() -> None:
    miner = miner_with_days()
    for height, hours in ((2100, -1), (2200, 1)):
        block(miner, height)
        Round.objects.filter(epoch=height).update(at=MIDNIGHT + timedelta(hours=hours))

    with override("Asia/Shanghai"):
        found = rewards_by_day([miner], since=MIDNIGHT - timedelta(days=2))

    assert found == [(MIDNIGHT - timedelta(days=1), 4 * FIL), (MIDNIGHT, 4 * FIL)]


def proposal(miner: Miner, done: ProposeReturn, *, height: int, **inner: Any) -> None:
    """A landed message that proposes to a multisig what it then sends."""
    act = {"value": AttoFil(0), "method": int(Method.WITHDRAW_BALANCE), "params": b"", **inner}
    factories.message(
        state=MessageState.LANDED,
        to=MULTISIG,
        method=int(MultisigMethod.PROPOSE),
        params=to_cbor(ProposeParams(address_parse(miner.address), **act)),
        return_data=to_cbor(done),
        height=height,
    )


def paid(amount: int) -> bytes:
    return to_cbor(WithdrawBalanceReturn(AttoFil(amount)))


def test_what_a_multisig_withdrew_or_sent_is_no_cost_whenever_it_was() -> None:
    miner = miner_with_days(balances=(100, 96), balance=97 * FIL)
    Receiver.objects.create(address=MULTISIG, kind="multisig", code=factories.cid("multisig"))
    proposal(miner, ProposeReturn(0, True, 0, paid(4 * FIL)), height=1500)  # one approval is enough
    proposal(miner, ProposeReturn(1, False, 0, b""), height=1600)
    proposal(miner, ProposeReturn(2, True, 16, b""), height=1700)  # carried out, and it failed
    proposal(miner, ProposeReturn(3, True, 0, b""), height=2100, value=AttoFil(3 * FIL), method=0, params=b"")
    factories.message(
        state=MessageState.LANDED,
        to=MULTISIG,
        method=int(MultisigMethod.APPROVE),
        params=to_cbor(TxnIDParams(1, b"")),
        return_data=to_cbor(ApproveReturn(True, 0, paid(2 * FIL))),
        height=2200,
    )

    today, yesterday = money_lines(miner, days=7)

    assert (yesterday.withdrawn, yesterday.other, yesterday.other_cost) == (4 * FIL, 0, 0)
    assert (today.received, today.withdrawn, today.other) == (3 * FIL, 2 * FIL, 0)


def test_gas_of_days_that_are_not_recorded_is_of_the_miner_all_the_same() -> None:
    miner, new = miner_with_days(balances=(110,)), factories.miner(2002)
    for days_ago, to in ((0, "f02001"), (3, "f02001"), (1, "f02002")):
        factories.spend(factories.bls(1), day=(NOW - timedelta(days=days_ago)).date(), to=to, cost=7)
    days = last_days(7, now=NOW)

    found = money_by_miner([miner, new], days=days, gas=gas_parts(SYSTEM, days))

    assert (found[miner.pk].gas_unrecorded, [line.gas for line in found[miner.pk].lines]) == (7, [7])
    assert (found[new.pk].gas, found[new.pk].lines) == (7, [])
