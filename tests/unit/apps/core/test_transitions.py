"""The state engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from apps.core.errors import LostRace, WrongState
from apps.core.transitions import advance

if TYPE_CHECKING:
    from tests.unit.apps.core.samples import Sample


def test_a_step_moves_the_row_and_stores_its_data(samples: type[Sample]) -> None:
    row = samples.objects.create()

    advance(row, "CLAIM", amount=7)

    row.refresh_from_db()
    assert (row.state, row.amount) == ("RUNNING", 7)


def test_an_event_outside_the_table_is_refused(samples: type[Sample]) -> None:
    row = samples.objects.create()

    with pytest.raises(WrongState, match="is QUEUED: DONE is not possible"):
        advance(row, "DONE")

    assert samples.objects.get().state == "QUEUED"


def test_of_two_reports_of_one_event_only_one_wins(samples: type[Sample]) -> None:
    row = samples.objects.create()
    same = samples.objects.get(pk=row.pk)
    advance(row, "CLAIM", amount=1)

    with pytest.raises(LostRace):
        advance(same, "CLAIM", amount=2)

    assert samples.objects.get().amount == 1
