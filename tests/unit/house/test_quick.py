"""What `make quick` leaves out is there, and is all that it leaves out."""

from __future__ import annotations

import pytest

from tests.quick import LONG, is_long
from tests.timing import SITE


@pytest.mark.parametrize("name", LONG)
def test_what_takes_seconds_exists(name: str) -> None:
    file, _, test = name.partition("::")
    assert (SITE / file).exists()
    assert not test or f"def {test.rpartition('::')[2]}(" in (SITE / file).read_text()


def test_only_named_files_and_tests_are_long() -> None:
    assert is_long("tests/unit/apps/sectors/test_claim_walk.py::test_x[a]")
    assert not is_long("tests/unit/apps/sectors/test_claim_walk_order.py::test_x")
    assert not is_long("tests/unit/apps/messages/test_push.py::test_push_x")
