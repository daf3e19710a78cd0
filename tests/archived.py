"""A database with an archive of messages, for the time of a test: then it is as the migrations made it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import connection

KEYS: Final = """
select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
where confrelid = 'messages_message'::regclass and contype = 'f' and conparentid = 0 order by 1, 2
"""


def ask(text: str, values: Any = None) -> list[Any]:
    """Return the rows of a statement, if it has any."""
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def archive_undone() -> Iterator[None]:
    """Drop the archive with its messages, and restore the foreign keys that it dropped."""
    keys = ask(KEYS)
    try:
        yield
    finally:
        ask("drop table if exists messages_archive cascade")
        ask("drop function if exists messages_archived_once cascade")
        ask("set session_replication_role = replica")
        for table, *_ in keys:
            ask(f"delete from {table}")
        ask("set session_replication_role = default")
        for table, name, text in keys:
            ask(f'alter table {table} drop constraint if exists "{name}"')
            ask(f'alter table {table} add constraint "{name}" {text}')


def places() -> dict[str, int]:
    """Count the messages in the table and in the archive."""
    return dict(ask("select tableoid::regclass::text, count(*) from messages_message group by 1 order by 1"))
