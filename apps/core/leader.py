"""One leader among several processes: a PostgreSQL advisory lock on a connection of its own.

The lock lives as long as the session.  kill -9 of PostgreSQL ends every session and so frees the lock
without a word to us; `still_leads` looks before each step, and every step runs only while it says yes.
A step that runs when the lock goes does not notice: steps must be safe to run twice.  Of a leader that hangs
the sessions are ended by others (`process_leases`); one that cannot work stands back for them (`ability`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import psycopg2
import psycopg2.extensions
from django.db import connection

from apps.core.database_hosts import reached_first
from apps.core.sessions import is_surely_open

FOLLOWER_LOCK: Final = 0x506F_6F6C
"""Any fixed number; one per role in this database."""
BLOCKS_LOCK: Final = 0x506F_6F6D
PREPARE_LOCK: Final = 0x506F_6F6E
DEALS_LOCK: Final = 0x4400_0000
"""With a miner's key added: of those who would serve its libp2p door."""

RETRY_S: Final = 0.5


def database_params() -> dict[str, Any]:
    """Return what psycopg2 needs to reach the database that Django uses."""
    row = connection.settings_dict
    params = {
        "dbname": row["NAME"],
        "user": row["USER"],
        "password": row["PASSWORD"],
        "host": row["HOST"],
        "port": row["PORT"],
        **row.get("OPTIONS", {}),
    }
    return reached_first({name: value for name, value in params.items() if value})


LED: Final = """
select exists (
    select from pg_locks join pg_database on pg_database.oid = pg_locks.database
    where datname = current_database() and locktype = 'advisory' and granted
    and classid = 0 and objsubid = 1 and objid = any(%s::oid[])
)
"""


def database_is_led() -> bool:
    """Return whether some pool's follower or block process is at work on this database."""
    with connection.cursor() as cursor:
        cursor.execute(LED, [[FOLLOWER_LOCK, BLOCKS_LOCK]])
        return bool(cursor.fetchone()[0])


class Leadership:
    """A session that holds the lock, or tries to get it."""

    def __init__(self, key: int = FOLLOWER_LOCK, *, params: dict[str, Any] | None = None) -> None:
        self.key = key
        self.params = params
        self.link: psycopg2.extensions.connection | None = None
        self.is_led_elsewhere = False
        """Whether another session had the lock when it was tried last."""
        self._turn = threading.RLock()
        """Guards the session: a second thread resigns while the first waits for a node."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.resign()

    def try_lead(self) -> bool:
        """Acquire the lock if it is free; False if another leads or the database is unavailable."""
        with self._turn:
            self.resign()
            self.is_led_elsewhere = False
            try:
                link = psycopg2.connect(**(self.params or database_params()) | {"connect_timeout": 3})
            except psycopg2.OperationalError:
                return False
            self.link = link
            # Autocommit, because an open transaction that holds the lock would hold back vacuum.
            link.autocommit = True
            found = self._query("select pg_try_advisory_lock(%(key)s)")
            self.is_led_elsewhere = found is False
            if not found:
                self.resign()
            return bool(found)

    def still_leads(self) -> bool:
        """Return whether the lock's connection still holds it; if not: stop at once, elect again.

        Nobody frees it but by `resign` and the session's end.
        """
        with self._turn:  # libpq frees what it tells of a session that another thread closes
            return is_surely_open(self.link) or bool(
                self._query(
                    "select exists (select from pg_locks where locktype = 'advisory' and granted"
                    " and pid = pg_backend_pid() and classid = 0 and objid = %(key)s and objsubid = 1)"
                )
            )

    def resign(self) -> None:
        """Free the lock and close the session.

        The server would free it by itself, but only once it has noticed that the session is closed.
        """
        with self._turn:
            if self.link is not None:
                self._query("select pg_advisory_unlock_all() is not null")
                self.link.close()
                self.link = None

    def leads(self, *, stands_back: bool) -> bool:
        """Return whether this process leads now, or may from now on; who stands back does not.

        Both threads may have resigned meanwhile: a step that began is safe to run twice.
        """
        if stands_back:
            self.resign()
            self.is_led_elsewhere = True
            return False
        return self.still_leads() or self.try_lead()

    def _query(self, question: str) -> bool | None:
        """Return the query's single value; None if the session is closed or fails."""
        link = self.link
        if link is None or link.closed:
            return None
        try:
            with link.cursor() as cursor:
                cursor.execute(question, {"key": self.key})
                row = cursor.fetchone()
        except psycopg2.Error:  # OperationalError or InterfaceError: the server went away
            return None
        return bool(row and row[0])


def lead_forever(
    leadership: Leadership,
    step: Callable[[], None],
    *,
    asked_to_stop: Callable[[], bool],
    stands_back: Callable[[], bool] = lambda: False,
    rest: Callable[[], None] = lambda: None,
) -> None:
    """Run `step` while leading, wait while another leads; survives the loss of the database.

    `stands_back`: whether another one can do the work and this process cannot; `rest`: ends what runs beside
    the steps, once another one leads.
    """
    has_led = False
    while not asked_to_stop():
        if leadership.leads(stands_back=stands_back()):
            has_led = True
            step()
            continue
        if has_led and leadership.is_led_elsewhere:
            has_led = False
            rest()
        time.sleep(RETRY_S)
