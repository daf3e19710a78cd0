"""What a test that commits leaves to the next one: nothing."""

from __future__ import annotations

import threading

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction

from apps.users.models import AuditEntry, Tenant, User
from apps.users.rules.principals import SYSTEM
from apps.users.services.audit import audit_record
from tests.fast_flush import KEPT, tables_flush
from tests.people import person, tenant

pytestmark = pytest.mark.django_db(transaction=True)


def rows_by_table() -> dict[str, int]:
    names = set(connection.introspection.django_table_names(only_existing=True)) - KEPT
    counts = {}
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"select count(*) from {name}")
            counts[name] = cursor.fetchone()[0]
    return {name: count for name, count in counts.items() if count}


def test_every_row_goes_even_those_that_nothing_else_may_delete() -> None:
    person()
    audit_record(principal=SYSTEM, action="look", target="here")
    assert {User._meta.db_table, Tenant._meta.db_table, AuditEntry._meta.db_table} <= rows_by_table().keys()

    tables_flush()

    assert rows_by_table() == {}
    assert ContentType.objects.exists()


def test_a_table_that_has_grown_gives_its_room_back() -> None:
    Tenant.objects.bulk_create(Tenant(name=f"tenant {number}", comment="x" * 200) for number in range(1000))

    tables_flush()

    with connection.cursor() as cursor:
        cursor.execute("select pg_relation_size('users_tenant')")
        assert cursor.fetchone() == (0,)


def test_whoever_is_still_writing_is_waited_for() -> None:
    has_written, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            tenant("late")
            has_written.set()
            may_end.wait(60)
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    assert has_written.wait(60)

    def empty() -> None:
        tables_flush()
        connection.close()

    emptier = threading.Thread(target=empty)
    emptier.start()
    emptier.join(0.3)
    assert emptier.is_alive()

    may_end.set()
    writer.join(60)
    emptier.join(60)

    assert rows_by_table() == {}
