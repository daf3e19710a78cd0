"""When the sectors of a deadline may be updated."""

from __future__ import annotations

from apps.sectors.services.runs.update_windows import LEAD_EPOCHS, last_mutable_epoch_compute
from poolsite.filecoin.deadlines import deadline_info, is_mutable
from poolsite.filecoin.policy import TEST

INDEX = 2
"""Open from the 20th epoch to the 29th of a period of 60."""


def test_an_update_waits_until_its_deadline_is_closed_in_the_next_epoch() -> None:
    def last(height: int) -> int | None:
        current = deadline_info(0, height // TEST.proving.window, height, TEST.proving)
        return last_mutable_epoch_compute(current, index=INDEX, height=height)

    for height in range(60):
        tried = (
            deadline_info(0, INDEX, at, TEST.proving) for at in (height, height + 1, height + LEAD_EPOCHS)
        )
        assert (last(height) is not None) == all(map(is_mutable, tried)), height
    assert (last(7), last(8), last(28), last(29), last(30)) == (9, None, None, None, 69)
