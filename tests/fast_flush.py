"""Emptying the tables after a test that commits: only those that hold a row.

Django's flush truncates every table and makes content types and permissions anew, which costs a quarter of
a second; most tests write into a handful of tables.
"""

from __future__ import annotations

from typing import Final

from django.db import connections, transaction
from django.test import TransactionTestCase

KEPT: Final = frozenset({"django_content_type", "auth_permission"})
"""Made by the migrations from the models; nothing changes them."""

LARGE_BYTES: Final = 256 * 1024
"""A table that grew to this is cut to nothing: what counts blocks must not meet the room of dead rows."""


def tables_flush(alias: str = "default") -> None:
    """Remove every row, once everybody who is writing has ended."""
    connection = connections[alias]
    names = set(connection.introspection.django_table_names(only_existing=True)) - KEPT
    tables = {name: connection.ops.quote_name(name) for name in sorted(names)}
    sizes = (
        f"(select '{name}', pg_relation_size('{table}') from {table} limit 1)"
        for name, table in tables.items()
    )
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        cursor.execute(f"lock table {', '.join(tables.values())} in share row exclusive mode")
        cursor.execute(" union all ".join(sizes))
        filled = {tables[name]: size_bytes for name, size_bytes in cursor.fetchall()}
        # no foreign key and no guard of the audit log holds in this transaction
        cursor.execute("set local session_replication_role = replica")
        for table in filled:
            cursor.execute(f"delete from {table}")
        large = [table for table, size_bytes in filled.items() if size_bytes > LARGE_BYTES]
        if large:
            cursor.execute(f"truncate {', '.join(large)} cascade")


def fixture_teardown(case: TransactionTestCase) -> None:
    """End a test that commits: in the place of `TransactionTestCase._fixture_teardown`."""
    for alias in case._databases_names(include_mirrors=False):  # type: ignore[attr-defined]  # Django's own
        tables_flush(alias)
