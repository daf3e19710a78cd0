"""Statements that the database keeps parsed and planned as long as a connection lasts.

For what is asked many times over connections that stay: planning a small question costs more than
answering it.  A pooler in transaction mode would not do, as it would not for the session locks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Sequence


class Prepared:
    """One statement with `$1`, `$2` … in the places of its values."""

    def __init__(self, name: str, text: str, types: Sequence[str]) -> None:
        self.name = name
        self.text = text
        self.types = tuple(types)
        self._known: WeakSet[Any] = WeakSet()
        """Connections in which it is prepared; a new one of the same thread is another object."""
        places = ", ".join(["%s"] * len(self.types))
        # Only constants of the modules that make these are pasted.
        self._prepare = f"PREPARE {name} ({', '.join(self.types)}) AS {text}"
        self._execute = f"EXECUTE {name} ({places})"

    def rows(self, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Carry it out over this thread's connection and give all rows."""
        with connection.cursor() as cursor:
            if connection.connection not in self._known:
                cursor.execute(self._prepare)
                self._known.add(connection.connection)
            cursor.execute(self._execute, values)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found
