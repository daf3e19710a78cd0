"""A statement is prepared once in each connection, and works again after that was replaced."""

from __future__ import annotations

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.core.prepared_statements import Plan, Prepared

pytestmark = pytest.mark.django_db(transaction=True)


def doubled() -> Prepared:
    return Prepared("test_doubled", "SELECT n * 2 FROM unnest($1) AS n ORDER BY n / $2", ["int[]", "int"])


def test_it_is_planned_once_and_gives_all_rows() -> None:
    statement = doubled()

    with CaptureQueriesContext(connection) as asked:
        rows = [statement.rows([[number, number + 1], 1]) for number in range(3)]

    assert rows == [[(0,), (2,)], [(2,), (4,)], [(4,), (6,)]]
    assert [query["sql"].partition(" ")[0] for query in asked] == ["EXECUTE"] * 3
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


def plans_made(name: str) -> tuple[int, int]:
    """How often it was carried out by the plan of all values, and by one for its own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = %s", [name]
        )
        [(generic, custom)] = cursor.fetchall()
    return int(generic), int(custom)


def test_it_is_planned_for_all_values_or_for_each_as_it_says() -> None:
    text = "SELECT count(*) FROM users_tenant WHERE id > $1"
    once = Prepared("test_once", text, ["bigint"], plan=Plan.ONCE)
    anew = Prepared("test_anew", text, ["bigint"], plan=Plan.ANEW)

    with transaction.atomic():
        for number in range(7):
            once.rows([number])
            anew.rows([number])
    once.rows([8])

    assert plans_made("test_once") == (8, 0)
    assert plans_made("test_anew") == (0, 7)
    with connection.cursor() as cursor:
        cursor.execute("SHOW plan_cache_mode")
        assert cursor.fetchone() == ("auto",)
    connection.close()
