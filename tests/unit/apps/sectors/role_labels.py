"""An act in a thread of its own that waits for a lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection


class Beside:
    """An act in a thread of its own, begun when it waits for a lock or has ended."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run, args=(act,))
        self.thread.start()
        while self.thread.is_alive() and not waiting():
            time.sleep(0.02)

    def _run(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001  # `end` raises it
            self.error = error
        finally:
            connection.close()

    def end(self) -> None:
        """Wait for it.  Raises what it raised."""
        self.thread.join()
        if self.error is not None:
            raise self.error


def waiting() -> bool:
    """Return whether a connection to this database waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock')"
        )
        return bool(cursor.fetchone()[0])


def lock_now(rows: Any) -> None:
    """Lock rows that nobody else has locked; raises OperationalError."""
    assert list(rows.select_for_update(nowait=True, no_key=True))
