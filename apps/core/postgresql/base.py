"""The backend's connection: whether a kept one still works is told by its socket, where that can tell."""

from __future__ import annotations

from django.db.backends.postgresql import base

from apps.core.sessions import is_surely_open


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, but that it asks no `SELECT 1` before the first statement of each task and request."""

    def is_usable(self) -> bool:
        """Return whether the connection still works."""
        return is_surely_open(self.connection) or super().is_usable()
