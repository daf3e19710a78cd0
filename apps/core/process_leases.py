"""Leases of the console's processes: a process that falls silent is given up, and its database sessions end.

A killed process frees its locks at once.  One that hangs (stopped, its machine paused, its cable cut) keeps
its sessions, and with them leadership, the locks of steps and the rows of an open transaction.  So each
process renews a lease in the database's time; whoever finds one that ran out, while a process of the same
name works on another machine, ends the sessions of the silent one.  What that had not committed is rolled
back.  When it wakes it finds itself given up and exits; its supervisor starts it anew.

The lease also says since when the process has reached what its work needs, and tells it whether another
machine's does (`ability`).

Without a second machine nobody would take over, and nobody is given up.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import psycopg2
import structlog
from django.conf import settings

from apps.core.ability import ABLE_S, Ability
from apps.core.leader import database_params
from apps.core.liveness import heartbeat_forget
from apps.core.versions import migrations_newest

log = structlog.get_logger(__name__)

EXIT_GIVEN_UP: Final = 75
"""EX_TEMPFAIL: the process may be started again."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a process renews its lease, and how long that lasts without."""

    every_s: float
    lasts_s: float


LEADER_PACE: Final = Pace(every_s=1.0, lasts_s=3.0)
"""Of what leads or stands by: another one leads within five seconds."""
PACE: Final = Pace(every_s=4.0, lasts_s=20.0)
"""Of the others, whose threads may be held up for seconds by reading one large answer."""

TURN_MAX_S: Final = 300.0
"""A leader's longest turn: after an absence it reads hundreds of tipsets, one after the other."""

UNABLE_EVERY_S: Final = 0.5
"""Time between two renewals of a process that cannot work: another one may be able to take over."""

RENEW: Final = """
with others as (
    select able_since from core_processlease where process = %(process)s and machine <> %(machine)s
    and until > clock_timestamp() and not is_given_up
)
insert into core_processlease as own (session, machine, process, until, is_given_up, knows, able_since)
values (
    %(session)s, %(machine)s, %(process)s, clock_timestamp() + %(lasts_s)s * interval '1 s', false, %(knows)s,
    clock_timestamp() - %(able_s)s * interval '1 s'
)
on conflict (session) do update set until = excluded.until, able_since = excluded.able_since
where not own.is_given_up
returning exists (select from others),
    exists (select from others where able_since <= clock_timestamp() - %(takes_over_s)s * interval '1 s'),
    extract(epoch from clock_timestamp())::float8
"""
GIVE_UP: Final = """
update core_processlease silent set is_given_up = true
where until < clock_timestamp() and not is_given_up and machine <> %(machine)s and exists (
    select from core_processlease other
    where other.process = silent.process and other.machine <> silent.machine
    and other.until > clock_timestamp() and not other.is_given_up
)
returning machine, process
"""
END_SESSIONS: Final = """
select count(pg_terminate_backend(pid)) from pg_stat_activity
where datname = current_database()
and application_name in (select session from core_processlease where is_given_up)
"""
FORGET: Final = "delete from core_processlease where until < clock_timestamp() - interval '1 day'"
END: Final = "delete from core_processlease where session = %(session)s and not is_given_up"


class GivenUp(Exception):
    """Others have ended this process's sessions and do its work."""


class ProcessLease:
    """This process's lease, in a session of its own."""

    def __init__(
        self,
        pace: Pace,
        *,
        session: str = "",
        machine: str = "",
        process: str = "",
        params: Any = None,
        ability: Ability | None = None,
    ) -> None:
        self.pace = pace
        self.ability = ability
        self.facts = {
            "session": session or settings.SESSION_NAME,
            "machine": machine or settings.MACHINE_NAME,
            "process": process or settings.PROCESS_NAME,
            "lasts_s": pace.lasts_s,
            "knows": json.dumps(migrations_newest()),
            "takes_over_s": ABLE_S,
        }
        self.params = params
        self.link: Any = None
        self.is_ended = False
        self.renewed_at = 0.0
        """Of the monotonic clock: when the last renewal in time was over; 0 where one was late."""

    def renew(self) -> list[tuple[str, str]]:
        """Renew the lease; return which machines' processes were given up.  Raises GivenUp, psycopg2.Error.

        Others are judged only by a process that renewed its own in time just before: after a pause of the
        database or of this machine all leases look old.
        """
        if self.link is None or self.link.closed:
            self.link = self._connect()
        able, begun_at = self.ability, time.time()
        with self.link.cursor() as cursor:
            cursor.execute(RENEW, self.facts | {"able_s": able and able.able_s()})
            others = cursor.fetchone()
            if others is None:
                raise GivenUp
            if able is not None:
                able.note(
                    has_others=others[0],
                    is_another_able=others[1],
                    lasts_s=2 * self.pace.every_s,
                    clock_off_s=max(begun_at - others[2], others[2] - time.time(), 0.0),
                )
            now, before = time.monotonic(), self.renewed_at
            self.renewed_at = now
            if not before or now - before > 2 * self.pace.every_s:
                return []
            cursor.execute(GIVE_UP, self.facts)
            given_up: list[tuple[str, str]] = cursor.fetchall()
            cursor.execute(END_SESSIONS)
        return given_up

    def end(self) -> None:
        """End the lease: the process ends by itself."""
        self.is_ended = True
        try:
            if self.link is not None and not self.link.closed:
                with self.link.cursor() as cursor:
                    cursor.execute(END, self.facts)
        except psycopg2.Error:
            return

    def _connect(self) -> Any:
        self.renewed_at = 0.0
        params = self.params or database_params()
        # Under the session's own name the link would be ended as well: it is what tells us that we were.
        link = psycopg2.connect(**params | {"connect_timeout": 3, "application_name": "process-lease"})
        link.autocommit = True
        with link.cursor() as cursor:
            cursor.execute("set synchronous_commit = off")
            cursor.execute(FORGET)
        return link


class Turns:
    """When a leader began its last turn: one whose turn never ends does not renew its lease."""

    def __init__(self) -> None:
        self.began_at = time.monotonic()

    def begin(self) -> None:
        """Note that a turn begins."""
        self.began_at = time.monotonic()

    def is_hanging(self) -> bool:
        """Return whether the turn takes longer than any that works."""
        return time.monotonic() - self.began_at > TURN_MAX_S


def lease_keep(
    pace: Pace = PACE, *, turns: Turns | None = None, ability: Ability | None = None
) -> Callable[[], None]:
    """Renew this process's lease in a thread of its own; exits at once when it was given up.

    Returns what gives the lease back when the process ends by itself, and forgets its heartbeat; Python's own
    end does so too.  A process without a name, such as a command, has none.
    """
    if not settings.SESSION_NAME:
        return lambda: None
    lease = ProcessLease(pace, ability=ability)

    def end() -> None:
        lease.end()
        heartbeat_forget()

    atexit.register(end)
    threading.Thread(target=_keep, args=(lease, turns), name="process-lease", daemon=True).start()
    return end


def _keep(lease: ProcessLease, turns: Turns | None) -> None:
    while not lease.is_ended:
        began = time.monotonic()
        try:
            for machine, process in [] if turns is not None and turns.is_hanging() else lease.renew():
                log.warning("process_given_up", machine=machine, of=process)
        except GivenUp:
            log.error("given_up", reason="others saw no sign of this process and do its work: it ends")
            os._exit(EXIT_GIVEN_UP)
        except psycopg2.Error as error:
            lease.renewed_at = 0.0
            log.warning("lease_not_renewed", reason=str(error).strip()[:200])
        pause(lease, time.monotonic() - began)


def pause(lease: ProcessLease, took_s: float) -> None:
    """Wait until the next renewal; one that became unable to work, or able again, says so at once."""
    every_s, able = lease.pace.every_s, lease.ability
    if able is None:
        time.sleep(max(every_s - took_s, every_s / 4))
        return
    if able.reason:
        every_s = min(every_s, UNABLE_EVERY_S)
    able.changed.wait(max(every_s - took_s, every_s / 4))
    able.changed.clear()
