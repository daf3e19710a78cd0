"""The backend's connection: whether a kept one still works is told by its socket, where that can tell.

A database that takes no writes, such as a standby that nobody promoted, counts as one that is away.
"""

from __future__ import annotations

import time
from functools import cached_property
from types import TracebackType
from typing import Any

from django.db import OperationalError
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from psycopg2.errors import ReadOnlySqlTransaction

from apps.core.database_hosts import reached_first, reached_note
from apps.core.sessions import is_surely_open


class DatabaseReadOnly(OperationalError):
    """The server refuses to write (SQLSTATE 25006); psycopg2 counts that among its internal errors."""


class DatabaseErrors(DatabaseErrorWrapper):
    """Django's translation of psycopg2's errors, with `DatabaseReadOnly`."""

    wrapper: DatabaseWrapper

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(exc_value, ReadOnlySqlTransaction):
            self.wrapper.close_at = time.monotonic()  # a session that began read-only may stay so
            raise DatabaseReadOnly(*exc_value.args).with_traceback(traceback) from exc_value
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, but that it asks no `SELECT 1` before the first statement of each task and request."""

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrors:
        """Return what turns psycopg2's errors into Django's."""
        return DatabaseErrors(self)

    def get_connection_params(self) -> dict[str, Any]:
        """Return psycopg2's parameters, with the server that was reached last in front."""
        return reached_first(super().get_connection_params())

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Open a session."""
        link = super().get_new_connection(conn_params)
        reached_note(conn_params, link)
        return link

    def is_usable(self) -> bool:
        """Return whether the connection still works."""
        return is_surely_open(self.connection) or super().is_usable()
