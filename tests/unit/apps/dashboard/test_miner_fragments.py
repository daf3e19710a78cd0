"""What a miner's page says of its proving period."""

from __future__ import annotations

import pytest

from apps.dashboard.pages.miners.detail import period_text


@pytest.mark.parametrize(
    ("start", "height", "words"),
    [
        (None, 5, ""),
        (127, 74, "starts at epoch 127"),
        (127, 127, "started at epoch 127"),
        (127, None, "started at epoch 127"),
    ],
)
def test_a_period_that_is_to_come_has_not_started(start: int | None, height: int | None, words: str) -> None:
    assert period_text(start, height=height) == words
