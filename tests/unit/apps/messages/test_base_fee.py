"""The day's base fee: its pieces, its cheapest two hours, and when they come again."""

from __future__ import annotations

import pytest

from apps.core.clock import DAY_S
from apps.messages.selectors.base_fee import (
    BaseFeeSpan,
    CheapWindow,
    base_fee_history,
    base_fee_shares,
    cheap_window,
)
from tests import factories

HOUR = 3600
START = 1_800_000_000


def spans(fees: list[int], *, step: int = HOUR) -> list[BaseFeeSpan]:
    return [BaseFeeSpan(START + at * step, fee, fee, fee, 1, step) for at, fee in enumerate(fees)]


def test_the_cheapest_two_hours_are_found() -> None:
    found = cheap_window(spans([9, 9, 3, 4, 9, 9, 9, 9, 9]))

    assert found is not None
    assert (found.start_s, found.end_s) == (START + 2 * HOUR, START + 4 * HOUR)
    assert (found.mean, found.day_mean) == (4, 8)


@pytest.mark.parametrize("fees", [[], [1], [5, 4, 3, 2, 1]])
def test_a_short_history_has_no_cheapest_hours(fees: list[int]) -> None:
    assert cheap_window(spans(fees)) is None


@pytest.mark.parametrize(
    ("at", "starts"),
    [
        (0, 10 * HOUR),
        (11 * HOUR, 10 * HOUR),
        (13 * HOUR, 10 * HOUR + DAY_S),
        (10 * HOUR + DAY_S - 1, 10 * HOUR + DAY_S),
        (13 * HOUR + DAY_S, 10 * HOUR + 2 * DAY_S),
    ],
)
def test_the_cheap_hours_come_again_each_day(at: int, starts: int) -> None:
    window = CheapWindow(10 * HOUR, 12 * HOUR, 1, 2)

    assert window.next_start_s(at) == starts


def test_the_shares_say_how_much_of_the_day_was_dearer_and_cheaper() -> None:
    history = spans([1, 2, 3, 4])

    assert base_fee_shares(history, 2) == (0.5, 0.25)
    assert base_fee_shares(history, 9) == (0, 1)
    assert base_fee_shares([], 2) is None


@pytest.mark.django_db
def test_the_history_is_cut_into_pieces_of_one_day() -> None:
    for number in range(300):
        head = factories.head(5000 + number, timestamp=START + 30 * number, base_fee=100 + number % 3)
    factories.head(5, key=factories.cid("old"), timestamp=START - 10 * DAY_S, base_fee=10**9)

    history = base_fee_history(head=head, epoch_s=30)

    assert sum(one.heads for one in history) == 300
    assert len(history) <= 97
    assert all(100 <= one.low <= one.mean <= one.high <= 102 for one in history)
    assert [one.start_s for one in history] == sorted(one.start_s for one in history)
