"""A queryset that is compiled once gives the same rows as Django's own, over and over and in every thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Thread
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from apps.chain.models import Follower, Head, Network
from apps.core.compiled import Compiled, Parameter, attach
from apps.users.models import Tenant, Token

pytestmark = pytest.mark.django_db


def head_make(height: int) -> Head:
    return Head.objects.create(
        key=f"key{height}",
        height=height,
        cids=["one", "two"],
        parent_key=f"key{height - 1}",
        timestamp=height,
        base_fee=10**30 + height,
        arrived_at=timezone.now(),
    )


def heads_after(height: Parameter) -> QuerySet[Any]:
    """100 % of the heads above one that are canonical, with what percent signs do."""
    wanted = Q(is_canonical=True) & ~Q(key__contains="50%s'")
    return Head.objects.filter(wanted, height__gt=height).annotate(more=F("height") + 1).order_by("height")


def test_models_with_annotations_and_arrays() -> None:
    rows = [head_make(height) for height in (3, 4, 5)]
    asked: Compiled[Any] = Compiled("test_heads_after", heads_after, height="bigint")

    for above in (3, 4, 9):
        found = asked.rows(height=above)
        assert found == [row for row in rows if row.height > above]
        for row in found:
            whole = Head.objects.get(pk=row.pk)
            assert row.more == row.height + 1
            assert not row.get_deferred_fields()
            assert {name: getattr(row, name) for name in ("cids", "base_fee", "arrived_at")} == {
                name: getattr(whole, name) for name in ("cids", "base_fee", "arrived_at")
            }


def test_related_rows_come_along_also_where_there_is_none(django_assert_num_queries: Any) -> None:
    asked: Compiled[Follower] = Compiled(
        "test_followers",
        lambda keys: Follower.objects.filter(pk__any=keys).select_related("head").order_by("pk"),
        keys="bigint[]",
    )
    with_head = Follower.objects.create(head=head_make(7))
    without = Follower.objects.create()

    with django_assert_num_queries(1):
        found = asked.rows(keys=[with_head.pk, without.pk])
        heads = [row.head for row in found]

    assert heads == [with_head.head, None]
    assert asked.rows(keys=[]) == []
    of_heads: Compiled[Follower] = Compiled(
        "test_followers_of_heads", lambda heads: Follower.objects.filter(head_id__any=heads), heads="bigint[]"
    )
    assert of_heads.rows(heads=[0, with_head.head_id]) == [with_head]


def test_one_without_parameters() -> None:
    asked: Compiled[Head] = Compiled("test_all_heads", lambda: Head.objects.order_by("pk")[:2])
    rows = [head_make(height) for height in (5, 6, 7)]

    assert asked.rows() == rows[:2]


def test_children_are_there_as_after_a_prefetch(django_assert_num_queries: Any) -> None:
    tenants = [Tenant(pk=1, name="one"), Tenant(pk=2, name="two")]
    tokens = [Token(name="a", tenant_id=1), Token(name="b", tenant_id=1)]

    with django_assert_num_queries(0):
        attach(tenants, "tokens", tokens, by="tenant")
        assert [list(row.tokens.all()) for row in tenants] == [tokens, []]
        assert [row.tenant for row in tokens] == [tenants[0], tenants[0]]


def test_columns_alone_and_json() -> None:
    Network.objects.create(name="one", genesis="g", params={"a": [1]})
    tuples: Compiled[tuple[str, Any]] = Compiled(
        "test_tuples",
        lambda name: Network.objects.filter(name=name).values_list("name", "params"),
        name="text",
    )
    single: Compiled[Any] = Compiled(
        "test_single",
        lambda name: Network.objects.filter(name=name).values_list("params", flat=True),
        name="text",
    )

    assert tuples.rows(name="one") == [("one", {"a": [1]})]
    assert single.rows(name="one") == [{"a": [1]}]
    assert single.rows(name="two") == []


def test_it_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    head_make(3)
    asked: Compiled[Head] = Compiled("test_heads_once", heads_after, height="bigint")
    asked.rows(height=1)

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(SQLCompiler, "as_sql", refuse)

    assert [row.height for row in asked.rows(height=2)] == [3]


@pytest.mark.django_db(transaction=True)
def test_each_thread_asks_over_its_own_connection() -> None:
    Network.objects.create(name="one", genesis="g", params={"a": 1})
    asked: Compiled[Network] = Compiled(
        "test_networks", lambda name: Network.objects.filter(name=name), name="text"
    )
    servers: list[tuple[int, list[Network]]] = []

    def ask() -> None:
        rows = asked.rows(name="one")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            servers.append((cursor.fetchone()[0], rows))
        connection.close()

    ask()
    thread = Thread(target=ask)
    thread.start()
    thread.join()

    assert len({pid for pid, _ in servers}) == 2
    assert [row.params for _, rows in servers for row in rows] == [{"a": 1}, {"a": 1}]


@pytest.mark.django_db(transaction=True)
def test_threads_that_ask_first_at_once_share_one_statement() -> None:
    """Two statements of one name would each be prepared in connections where the other is."""
    meet, asked_again = Barrier(2, timeout=60), Barrier(2, timeout=60)

    def slow(name: Parameter) -> QuerySet[Any]:
        with suppress(BrokenBarrierError):
            meet.wait(1)
        return Network.objects.filter(name=name)

    asked: Compiled[Network] = Compiled("test_networks_at_once", slow, name="text")

    def ask() -> list[Network]:
        found = asked.rows(name="one")
        asked_again.wait()
        found += asked.rows(name="one")
        connection.close()
        return found

    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(ask) for _ in range(2)]
        assert [one.result() for one in both] == [[], []]
