"""What goes wrong with rows that are done together is found in the row that it is of."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.db import OperationalError
from psycopg2.errors import DeadlockDetected

from apps.chain.node.isolation import together_isolated


def test_rows_that_deadlock_together_are_done_one_by_one() -> None:
    done: list[int] = []

    def do(rows: Sequence[int]) -> None:
        if len(rows) > 1:
            raise OperationalError("deadlock detected") from DeadlockDetected()
        done.extend(rows)

    together_isolated([1, 2, 3], do, event="not_done")

    assert done == [1, 2, 3]


def test_an_absent_database_ends_the_pass() -> None:
    asked: list[int] = []

    def do(rows: Sequence[int]) -> None:
        asked.extend(rows)
        raise OperationalError("server closed the connection")

    with pytest.raises(OperationalError):
        together_isolated([1, 2, 3], do, event="not_done")

    assert asked == [1, 2, 3]
