"""Luck: the band around the expected wins is the Poisson distribution's."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from apps.blocks.models import MiningDay, Round
from apps.blocks.selectors.luck import BANDS, cumulative, luck_of, luck_since, lucks, quantiles, term
from apps.blocks.selectors.mining_course import mining_course
from apps.blocks.services.retention import rounds_sum_up
from apps.blocks.states import RoundState
from apps.core.clock import now
from tests import factories


def naive(count: int, expected: float) -> float:
    return math.exp(-expected) * expected**count / math.factorial(count)


@pytest.mark.parametrize("expected", [0.01, 0.5, 3.0, 20.0])
def test_terms_are_those_of_the_formula(expected):
    assert [term(n, expected) for n in range(30)] == pytest.approx([naive(n, expected) for n in range(30)])


@pytest.mark.parametrize("expected", [0.0, 0.3, 5.0, 300.0, 14_400.0])
def test_quantiles_are_the_least_counts_that_reach_their_share(expected):
    for share, count in zip(BANDS, quantiles(expected, *BANDS), strict=True):
        assert cumulative(count, expected) >= share
        assert count == 0 or cumulative(count - 1, expected) < share


def test_luck_without_expectation_has_no_share():
    assert luck_of(0, 0.0).share is None
    assert luck_of(0, 0.0).most == (0, 0)
    assert luck_of(3, 2.0).share == 1.5


@pytest.mark.django_db
def test_luck_counts_kept_rounds_and_sums_but_nothing_undrawn():
    miner = factories.miner(2001)
    common = {"miner": miner, "base_height": 1, "at": now(), "expected": 0.5}
    Round.objects.create(epoch=1, state=RoundState.NO_WIN, **common)
    Round.objects.create(epoch=2, state=RoundState.SIGNER_AWAY, **common)
    Round.objects.create(epoch=3, state=RoundState.PROOF_TIMEOUT, win_count=1, **common)
    MiningDay.objects.create(miner=miner, day=now().date(), rounds=4, eligible=4, expected=2.0)

    luck = lucks([miner], now=now(), days=[1])[miner.pk][1]

    assert (luck.wins, luck.expected) == (1, 3.0)


@pytest.mark.django_db
def test_luck_of_a_short_span_leaves_older_wins_and_sums_out():
    miner = factories.miner(2001)
    for epoch, days in ((1, 0), (2, 3), (3, 20)):
        at = now() - timedelta(days=days)
        common = {"miner": miner, "base_height": 1, "at": at, "expected": 0.5}
        Round.objects.create(epoch=epoch, state=RoundState.INCLUDED, win_count=1, **common)
        MiningDay.objects.create(miner=miner, day=at.date(), rounds=4, eligible=4, expected=2.0)

    found = lucks([miner], now=now(), days=[1, 7, 30])[miner.pk]

    assert {days: (one.wins, one.expected) for days, one in found.items()} == {
        1: (1, 2.5),
        7: (2, 5.0),
        30: (3, 7.5),
    }


@pytest.mark.django_db
@pytest.mark.parametrize("hour", [1, 12, 23])
@pytest.mark.parametrize("kept_h", [12, 24, 72])
def test_a_miner_of_average_luck_has_a_share_of_one_at_any_hour(hour, kept_h, settings):
    settings.BLOCK_ROUNDS_KEPT_H = kept_h
    miner = factories.miner(2001)
    at = datetime(2026, 11, 20, hour, 55, tzinfo=UTC)
    Round.objects.bulk_create(
        Round(
            miner=miner,
            epoch=epoch,
            base_height=1,
            at=at - timedelta(minutes=30 * epoch + 1),
            expected=1 / 6,
            win_count=int(epoch % 6 == 0),
            state=RoundState.NO_WIN if epoch % 6 else RoundState.INCLUDED,
        )
        for epoch in range(32 * 48)
    )
    rounds_sum_up(before=at - timedelta(hours=kept_h))

    found = lucks([miner], now=at, days=[1, 7, 30])[miner.pk]

    assert all(abs(one.wins - one.expected) <= 1 for one in found.values())
    course = mining_course([miner], now=at)
    assert abs(sum(span.wins - span.expected for span in course)) <= 1


def test_a_span_begins_at_midnight_once_its_first_rounds_are_summed_up():
    at = datetime(2026, 11, 20, 23, 55, tzinfo=UTC)

    assert luck_since(1, now=at) == at - timedelta(days=1)
    assert luck_since(7, now=at) == datetime(2026, 11, 13, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize("others", [[], [timedelta(seconds=1)], [timedelta(days=40)]])
def test_a_course_whose_clock_was_taken_before_a_round_leaves_it_out(others):
    miner, at = factories.miner(2001), now()
    for epoch, ago in enumerate([timedelta(seconds=-3), *others]):
        common = {"miner": miner, "base_height": 1, "at": at - ago, "expected": 0.5}
        Round.objects.create(epoch=epoch, state=RoundState.INCLUDED, win_count=1, **common)

    course = mining_course([miner], now=at)

    assert sum(span.wins for span in course) == sum(ago < timedelta(days=30) for ago in others)
