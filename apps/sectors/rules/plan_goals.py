"""What it takes to add so many bytes of sectors: how many, until when, with which hosts, and the money of it.

Sectors begin at the plan's pace, and each counts once it has gone through all of its steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil, isfinite
from typing import Final

from apps.core.clock import DAY_S
from apps.sectors.rules.planner import Outcome

DAYS_MAX: Final = 36_500
"""A plan that takes longer has no end."""
POINTS: Final = 60
"""Steps of its curves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Sectors to be added, and by when."""

    size: int
    """Bytes of sectors."""
    until: datetime | None
    """By when; None: when it is done is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorMoney:
    """AttoFIL of one sector."""

    locked: int
    gas: int
    daily_fee: int
    reward: int | None
    """Expected of its power in a day; None: not known."""
    life_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A plan at one moment."""

    at: datetime
    power: int
    """Bytes of sectors that are proving."""
    locked: int
    net: int | None
    """AttoFIL earned, less gas and fees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalAnswer:
    """What a plan needs for its goal."""

    sectors: int
    per_day: float
    done_at: datetime | None
    """None: the plan makes nothing, or takes longer than a century."""
    hosts_needed: int | None
    """By the goal's date; None without one, or where one sector alone takes longer."""
    is_too_soon: bool
    """Whether one sector alone takes longer than to the goal's date."""
    locked: int | None = None
    """AttoFIL locked once all have begun: the most that is locked at a time; None: costs are not known."""
    gas: int | None = None
    daily_fee: int | None = None
    """For a day of all of them."""
    reward: int | None = None
    """The same."""
    earned_back_at: datetime | None = None
    """When rewards have paid gas and fees; None: not within the sectors' life, or not known."""
    curve: tuple[Point, ...] = ()


def goal_answer(
    goal: Goal,
    outcome: Outcome,
    *,
    hosts: int,
    sector_size: int,
    money: SectorMoney | None,
    now: datetime,
    shown_days: float = 0.0,
) -> GoalAnswer:
    """Return what a plan needs for its goal; its curves are at least `shown_days` long, as another's are."""
    sectors = max(ceil(goal.size / sector_size), 1)
    needed, is_too_soon = None, False
    if goal.until is not None:
        left = (goal.until - now).total_seconds() / DAY_S - outcome.sector_s / DAY_S
        is_too_soon = left <= 0
        if not is_too_soon and hosts and outcome.per_day > 0:
            needed = ceil(sectors / (outcome.per_day / hosts * left))
    course = _Course(sectors, outcome.per_day, outcome.sector_s / DAY_S, money)
    answer = GoalAnswer(
        sectors=sectors,
        per_day=outcome.per_day,
        done_at=_after(now, course.done),
        hosts_needed=needed,
        is_too_soon=is_too_soon,
    )
    if money is None:
        return answer
    priced = replace(
        answer,
        locked=money.locked * sectors,
        gas=money.gas * sectors,
        daily_fee=money.daily_fee * sectors,
        reward=None if money.reward is None else money.reward * sectors,
    )
    if course.done is None:
        return priced
    back = course.earned_back()
    end = max(max(course.done, min(back or 0, money.life_days)) * 1.1, shown_days)
    return replace(
        priced,
        earned_back_at=_after(now, back),
        curve=tuple(
            Point(
                at=now + timedelta(days=day),
                power=int(course.active(day)) * sector_size,
                locked=round(money.locked * course.started(day)),
                net=course.net(day),
            )
            for day in (end * place / POINTS for place in range(POINTS + 1))
        ),
    )


def _after(now: datetime, days: float | None) -> datetime | None:
    return None if days is None else now + timedelta(days=days)


@dataclass(frozen=True, slots=True)
class _Course:
    """How many sectors have begun and are proving, by days from now."""

    sectors: int
    per_day: float
    sector_days: float
    money: SectorMoney | None

    @property
    def done(self) -> float | None:
        """Return after how many days all are proving; None: never."""
        if self.per_day <= 0:
            return None
        days = self.sector_days + self.sectors / self.per_day
        return days if isfinite(days) and days < DAYS_MAX else None

    def started(self, day: float) -> float:
        """Return how many have begun; the first of them at once."""
        return min(max(self.per_day * day, 1.0), float(self.sectors))

    def active(self, day: float) -> float:
        """Return how many are proving."""
        return min(max(self.per_day * (day - self.sector_days), 0.0), float(self.sectors))

    def sector_time(self, day: float) -> float:
        """Return the days for which sectors were proving, of all of them together."""
        since, ramp = max(day - self.sector_days, 0.0), self.sectors / self.per_day
        return self.per_day * min(since, ramp) ** 2 / 2 + self.sectors * max(since - ramp, 0.0)

    def net(self, day: float) -> int | None:
        """Return what was earned, less gas and fees; None where rewards are not known."""
        money = self.money
        if money is None or money.reward is None:
            return None
        return round((money.reward - money.daily_fee) * self.sector_time(day) - money.gas * self.started(day))

    def earned_back(self) -> float | None:
        """Return after how many days rewards have paid gas and fees for good; None: not within their life."""
        money = self.money
        if money is None or money.reward is None or money.reward <= money.daily_fee or self.done is None:
            return None
        low, high = 0.0, self.done + money.life_days
        if (self.net(high) or 0) < 0:
            return None
        for _ in range(60):  # the net falls while most begin, and rises from then on: its last zero
            middle = (low + high) / 2
            low, high = (
                (low, middle) if (self.net(middle) or 0) >= 0 and middle > self.dip else (middle, high)
            )
        return high if high <= self.done + money.life_days else None

    @property
    def dip(self) -> float:
        """Return the day from which on the net rises: gas is no more than what is earned."""
        money = self.money
        if money is None or money.reward is None:
            return 0.0
        margin = money.reward - money.daily_fee
        ramp = self.sectors / self.per_day
        return min(self.sector_days + money.gas / margin, max(ramp, self.sector_days)) if margin > 0 else 0.0
