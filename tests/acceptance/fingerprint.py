"""What a database holds, as one number per table: refused requests must leave every one of them alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

NOT_COUNTED: Final = frozenset(
    {"users_auditentry", "django_session", "users_ratecount", "core_processlease", "core_console"}
)
"""Audit, sessions and figures may grow by a refusal; what processes and machines say of themselves is renewed
all the time."""

TABLES: Final = """
    select tablename from pg_tables where schemaname = 'public' order by tablename
"""

CONTENT: Final = """
    select count(*), coalesce(md5(string_agg(md5(t::text), '' order by md5(t::text))), '') from "{}" t
"""


def fingerprint(query: Callable[[str], list[tuple[Any, ...]]]) -> dict[str, tuple[int, str]]:
    """Rows and a hash of each table's whole content; `query` runs one SQL statement."""
    tables = [str(row[0]) for row in query(TABLES) if row[0] not in NOT_COUNTED]
    return {
        table: (int(count), str(text)) for table in tables for count, text in query(CONTENT.format(table))
    }
