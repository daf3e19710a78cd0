"""Statements that the database keeps parsed and planned as long as a connection lasts.

For what is asked many times over connections that stay: planning a small question costs more than
answering it.  A pooler in transaction mode would not do, as it would not for the session locks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any
from weakref import WeakSet

from django.db import connection


class Plan(StrEnum):
    """Whether the values of a statement's parameters matter for its plan."""

    AUTO = "auto"
    """PostgreSQL finds out, by what it thinks that both would cost."""
    ONCE = "force_generic_plan"
    """They do not: it is planned once, though it thinks that the values would help."""
    ANEW = "force_custom_plan"
    """They do: it is planned each time, also after one of the same transaction that is not."""


class Prepared:
    """One statement with `$1`, `$2` … in the places of its values."""

    def __init__(self, name: str, text: str, types: Sequence[str], *, plan: Plan = Plan.AUTO) -> None:
        self.name = name
        self.text = text
        self.types = tuple(types)
        self._known: WeakSet[Any] = WeakSet()
        """Connections in which it is prepared; a new one of the same thread is another object."""
        type_list, places = _list(self.types), _list(["%s"] * len(self.types))
        # No injection: `text` and `types` are constants of the calling modules.
        self.prepare_text = f"PREPARE {name}{type_list} AS {text}"
        # In the same round trip.  LOCAL ends with the transaction, or with the statement where there is none:
        # what this connection executes later keeps its own plans.
        how = "" if plan is Plan.AUTO else f"SET LOCAL plan_cache_mode = {plan}; "
        self.execute_text = f"{how}EXECUTE {name}{places}"

    def rows(self, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Carry it out over this thread's connection and give all rows."""
        with self._executed(values) as cursor:
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    def execute(self, values: Sequence[Any]) -> None:
        """Carry out one that gives no rows."""
        with self._executed(values):
            pass

    @contextmanager
    def _executed(self, values: Sequence[Any]) -> Iterator[Any]:
        with connection.cursor() as cursor:
            if connection.connection not in self._known:
                # Not over Django's cursor: tests count queries, and preparing happens only once a connection.
                with connection.wrap_database_errors, connection.connection.cursor() as raw:
                    raw.execute(self.prepare_text)
                self._known.add(connection.connection)
            cursor.execute(self.execute_text, values)
            yield cursor


def _list(items: Sequence[str]) -> str:
    """Return a list in parentheses; the server takes no empty one."""
    return f" ({', '.join(items)})" if items else ""
