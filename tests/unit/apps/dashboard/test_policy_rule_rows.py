"""A rule of a signing policy as a row of its table."""

from __future__ import annotations

import pytest

from apps.dashboard.pages.policies.page import rule_row
from poolsite.wire.policy import RuleForm


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({}, "no limit"),
        ({"value_max": "0 FIL"}, "value up to 0 FIL a message"),
        ({"fee_per_day": "2 FIL"}, "fees up to 2 FIL a day"),
        (
            {"fee_max": "5 FIL", "premium_max": "1 FIL", "premium_per_day": "5 FIL"},
            "fees up to 5 FIL a message; premiums up to 1 FIL a message and 5 FIL a day",
        ),
    ],
)
def test_limits_of_a_rule_are_named_once_each(limits: dict[str, str], text: str) -> None:
    form = RuleForm(name="r", **limits)  # type: ignore[arg-type]  # all of them are texts

    assert rule_row(form, place=1).limits == text
