"""A statement is prepared once in each connection, and works again after that was replaced."""

from __future__ import annotations

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.core.prepared_statements import Prepared

pytestmark = pytest.mark.django_db(transaction=True)


def doubled() -> Prepared:
    return Prepared("test_doubled", "SELECT n * 2 FROM unnest($1) AS n ORDER BY n / $2", ["int[]", "int"])


def test_it_is_planned_once_and_gives_all_rows() -> None:
    statement = doubled()

    with CaptureQueriesContext(
        connection,
    ) as asked:
        rows = [statement.rows([[number, number + 1], 1]) for number in range(3)]

    assert rows == [[(0,), (2,)], [(2,), (4,)], [(4,), (6,)]]
    assert [query["sql"].partition(" ")[0] for query in asked] == ["PREPARE"] + ["EXECUTE"] * 3
    connection.close()


def test_a_new_connection_learns_it_again() -> None:
    statement = doubled()
    statement.rows([[1], 1])

    connection.close()

    assert statement.rows([[1], 1]) == [(2,)]
    connection.close()


def test_it_outlives_a_transaction_that_failed() -> None:
    statement = doubled()

    with pytest.raises(DataError), transaction.atomic():
        statement.rows([[1], 0])

    assert statement.rows([[1], 1]) == [(2,)]
    connection.close()
