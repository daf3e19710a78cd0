"""What a goal takes: counted step by step in days, the same as the closed forms say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from apps.sectors.rules.plan_goals import Goal, GoalAnswer, SectorMoney, goal_answer
from apps.sectors.rules.planner import Outcome

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = 86_400
GIB32 = 32 << 30
MONEY: dict[str, Any] = {"locked": 100, "gas": 30, "daily_fee": 2, "reward": 5, "life_days": 500.0}


def answer(
    *,
    per_day: float = 10.0,
    sector_days: float = 2.0,
    hosts: int = 2,
    sectors: int = 100,
    days: float | None = None,
    **money: Any,
) -> GoalAnswer:
    until = None if days is None else NOW + timedelta(days=days)
    return goal_answer(
        Goal(size=sectors * GIB32, until=until),
        Outcome(per_day, sector_days * DAY, "PC1", {}),
        hosts=hosts,
        sector_size=GIB32,
        money=SectorMoney(**MONEY | money),
        now=NOW,
    )


def test_a_size_takes_whole_sectors_and_the_pace_says_when_they_are_done() -> None:
    found = answer()

    assert (found.sectors, found.done_at) == (100, NOW + timedelta(days=12))
    assert (found.locked, found.gas, found.daily_fee, found.reward) == (10_000, 3_000, 200, 500)
    more = goal_answer(
        Goal(size=GIB32 + 1, until=None),
        Outcome(1.0, 0.0, "PC1", {}),
        hosts=1,
        sector_size=GIB32,
        money=None,
        now=NOW,
    )
    assert (more.sectors, more.locked, more.curve) == (2, None, ())


@pytest.mark.parametrize(("days", "hosts"), [(12.0, 2), (11.0, 3), (4.0, 10), (22.0, 1)])
def test_a_date_says_how_many_hosts_it_takes(days: float, hosts: int) -> None:
    assert answer(days=days).hosts_needed == hosts


def test_a_date_before_one_sector_is_done_is_too_soon() -> None:
    found = answer(days=1.5)

    assert (found.is_too_soon, found.hosts_needed) == (True, None)


def test_a_plan_that_makes_nothing_is_never_done() -> None:
    found = answer(per_day=0.0, days=9.0)

    assert (found.done_at, found.hosts_needed, found.earned_back_at, found.curve) == (None, None, None, ())
    assert (found.locked, found.gas) == (10_000, 3_000), "what they would cost all the same"


@pytest.mark.parametrize(
    ("sectors", "reward", "gas"), [(100, 5, 30), (1000, 4, 10), (7, 50, 3), (40, 3, 200)]
)
def test_gas_and_fees_are_earned_back_when_a_count_by_hours_says_so(
    sectors: int, reward: int, gas: int
) -> None:
    found = answer(sectors=sectors, reward=reward, gas=gas)

    step, net, day, last = 1 / 240, 0.0, 0.0, None
    while day < 500:
        active = min(max(10 * (day + step / 2 - 2), 0), sectors)
        net += active * (reward - 2) * step
        day += step
        if net - gas * min(10 * day, sectors) < 0:
            last = day
    assert found.earned_back_at is not None
    assert last is not None
    assert abs((found.earned_back_at - NOW).total_seconds() / DAY - last) < 0.3


def test_rewards_below_the_fee_never_earn_it_back() -> None:
    assert answer(reward=2).earned_back_at is None
    assert answer(reward=3, life_days=20.0).earned_back_at is None
    unknown = answer(reward=None)
    assert (unknown.earned_back_at, unknown.reward, unknown.curve[0].net) == (None, None, None)


def test_the_curve_ends_with_all_sectors_and_never_falls_in_power() -> None:
    curve = answer().curve

    assert curve[0].power == 0
    assert curve[-1].power == 100 * GIB32
    assert max(point.locked for point in curve) == 10_000
    assert all(one.power <= after.power for one, after in pairwise(curve))
