"""Fields that Django's own forms read: one of a few, a number within limits, a tick."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.dashboard.number_fields import Number, Whole
from apps.dashboard.text_fields import Choice, Text, Tick

DAYS = [(0, "never"), (30, "in 30 days")]
WHOLE = "must be from 1 to 9"


@pytest.mark.parametrize(("typed", "read"), [("0", 0), ("30", 30)])
def test_choice_is_read_as_what_it_is(typed: str, read: int) -> None:
    assert Choice(DAYS, coerce=int).clean(typed) == read


@pytest.mark.parametrize("typed", ["", "31", "x", None])
def test_what_is_not_offered_is_refused(typed: Any) -> None:
    with pytest.raises(ValidationError, match="choose one of the options"):
        Choice(DAYS, coerce=int).clean(typed)


def test_nothing_is_chosen_only_where_that_is_offered() -> None:
    assert Choice([("", "as the pool"), *DAYS], coerce=int, empty=None).clean("") is None


@pytest.mark.parametrize(
    ("typed", "why"),
    [("", "enter a whole number"), ("1.5", "enter a whole number"), ("0", WHOLE), ("10", WHOLE)],
)
def test_whole_number_is_within_limits(typed: str, why: str) -> None:
    assert Whole(least=1, most=9).clean("9") == 9
    with pytest.raises(ValidationError, match=why):
        Whole(least=1, most=9).clean(typed)


@pytest.mark.parametrize("typed", ["", "NaN", "x", "-1", "1e400"])
def test_number_is_finite_and_within_limits(typed: str) -> None:
    field = Number(least=Decimal(0), most=Decimal(60))

    assert field.clean("1.5") == Decimal("1.5")
    with pytest.raises(ValidationError, match="must be"):
        field.clean(typed)


@pytest.mark.parametrize(
    ("sent", "is_on"), [("1", True), ("on", True), ("True", True), ("", False), (None, False)]
)
def test_tick_of_a_browser_and_of_a_question(sent: Any, is_on: bool) -> None:
    assert Tick().clean(sent) is is_on


def test_text_may_be_needed_and_of_some_length() -> None:
    field = Text(required=True, longest=3)

    assert field.clean(" abc ") == "abc"
    for typed, why in (("", "must not be empty"), ("abcd", "at most 3 characters")):
        with pytest.raises(ValidationError, match=why):
            field.clean(typed)
