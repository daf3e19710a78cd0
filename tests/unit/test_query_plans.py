"""The plans that benches take of statements in their place: what they find, and that nothing of it stays."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from apps.chain.models import Network, Node
from apps.core.prepared_statements import Plan, Prepared
from tests.query_plans import plans_watched

NODES = Node._meta.db_table


def nodes_make(count: int) -> None:
    Node.objects.bulk_create(Node(url=f"http://node-{number}", name=str(number)) for number in range(count))


@pytest.mark.django_db
def test_a_statement_that_reads_a_table_whole_is_named() -> None:
    nodes_make(50)

    with plans_watched(NODES) as watched:
        Node.objects.filter(name="7").update(weight=2)
        Network.objects.first()

    assert len(watched.statements) == 2
    assert watched.most[NODES][0] == 50
    with pytest.raises(AssertionError, match="UPDATE"):
        watched.check()


@pytest.mark.django_db
def test_a_statement_that_goes_by_an_index_is_none() -> None:
    nodes_make(50)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {NODES}")
        cursor.execute("SET LOCAL enable_seqscan = off")

    with plans_watched(NODES) as watched:
        found = Node.objects.get(pk=Node.objects.earliest("pk").pk)

    watched.check()
    assert found.name == "0"
    assert watched.most[NODES][0] == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_explained_is_done_once() -> None:
    with plans_watched(NODES) as watched:
        nodes_make(1)  # in no transaction but its own
        with transaction.atomic():
            Node.objects.create(url="http://another")

    assert Node.objects.count() == 2
    assert any(text.startswith("INSERT") for text in watched.statements)


@pytest.mark.django_db
def test_a_prepared_statement_is_explained_as_it_is_planned() -> None:
    nodes_make(3)
    statement = Prepared(
        "plans_test", f"SELECT name FROM {NODES} WHERE weight >= $1", ["int"], plan=Plan.ONCE
    )

    with plans_watched(NODES) as watched:
        rows = statement.rows([0])

    assert len(rows) == 3
    assert watched.most[NODES][0] == 3
    with pytest.raises(AssertionError, match="plans_test"):
        watched.check()
