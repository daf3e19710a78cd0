"""The console's machines: each keeps a row of itself, and proves that it reads what the others wrote.

Client data and outputs of C1 lie in folders that all machines share.  A machine to which another folder is
mounted there would miss files that the rows name, so each writes a small file into both and reads those of
the others.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import structlog
from django.conf import settings
from django.db import Error, connection
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now
from django.utils.translation import gettext_noop
from redis.exceptions import RedisError

from apps.core.disk import disk_space
from apps.core.leader import BLOCKS_LOCK, FOLLOWER_LOCK
from apps.core.liveness import KEY
from apps.core.models import Console
from apps.core.processes import Process, processes_all
from apps.core.redis_clients import redis_client
from poolsite.console_folder import console_id
from poolsite.private_files import private_write
from poolsite.wire.hosts import VERSION

log = structlog.get_logger(__name__)

SEEN_EVERY_S: Final = 5.0
PROBE_EVERY_S: Final = 60.0
SEEN_WITHIN: Final = timedelta(seconds=30)
"""A machine that was not seen for so long does not work."""
PROBES: Final = ".consoles"
"""Folder of the probes in each shared one."""
PROBE_BYTES: Final = 64
SHARED_FOLDERS: Final = ("PIECES_DIR", "C1_DIR")
MACHINE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,29}")
"""What a machine may be called: it names a file, and a part of its sessions' names."""

SEEN: Final = """
insert into core_console
    (machine, folder, version, joined_by, started_at, seen_at, disk_free, disk_total, probes, unread)
values (%(machine)s, %(folder)s, %(version)s, '', clock_timestamp(), clock_timestamp(),
        %(free)s, %(total)s, '{}', '[]')
on conflict (machine) do update set
    folder = excluded.folder, version = excluded.version, seen_at = excluded.seen_at,
    started_at = case when %(is_start)s or core_console.started_at is null
                 then excluded.started_at else core_console.started_at end,
    disk_free = excluded.disk_free, disk_total = excluded.disk_total
"""
LEADING: Final = """
select objid::bigint, application_name from pg_locks join pg_stat_activity using (pid)
join pg_database on pg_database.oid = pg_locks.database
where pg_database.datname = current_database() and locktype = 'advisory' and granted
and classid = 0 and objsubid = 1 and objid = any(%s::oid[])
"""
ANOTHER_ABLE: Final = """
select exists (select from core_processlease where process = %s and machine <> %s
and until > clock_timestamp() and not is_given_up and able_since is not null)
"""
ROLES: Final = {FOLLOWER_LOCK: "follower", BLOCKS_LOCK: "blocks"}
"""What one machine does for all, by its lock."""


class ConsoleSeen(NamedTuple):
    """A console machine, and how it is now."""

    row: Console
    age_s: float | None
    """Seconds since it was seen, by the database's clock; None: it never was."""

    @property
    def works(self) -> bool:
        """Return whether it was seen lately."""
        return self.age_s is not None and self.age_s <= SEEN_WITHIN.total_seconds()


async def console_keep() -> None:
    """Keep this machine's row, and prove that it reads what others wrote; never returns.

    A shared folder may hang: it is tried beside.
    """
    await asyncio.to_thread(own_session_run, partial(console_note, is_start=True))
    await asyncio.gather(_rows_keep(), _folders_prove())


async def _rows_keep() -> None:
    while True:
        await asyncio.sleep(SEEN_EVERY_S)
        await asyncio.to_thread(own_session_run, console_note)


async def _folders_prove() -> None:
    await asyncio.to_thread(own_session_run, probes_write)
    while True:
        await asyncio.to_thread(own_session_run, probes_renew, probes_read)
        await asyncio.sleep(PROBE_EVERY_S)


def own_session_run(*acts: Callable[[], object]) -> None:
    """Run acts of a thread that has no request, and close its database session; a fault is logged."""
    try:
        with closing(connection):
            for act in acts:
                act()
    except (Error, OSError) as error:
        log.warning("console_not_noted", reason=str(error).strip()[:200])


def console_note(*, is_start: bool = False) -> None:
    """Write that this machine works, with its version and the room on its disk."""
    space = disk_space()
    facts: dict[str, Any] = {
        "machine": settings.MACHINE_NAME,
        "folder": console_id(settings.VAR),
        "version": VERSION,
        "free": space.free,
        "total": space.total,
        "is_start": is_start,
    }
    with connection.cursor() as cursor:
        cursor.execute(SEEN, facts)


def probe_path(setting: str, machine: str) -> Path:
    """Return where a machine's probe lies in the folder that a setting names here."""
    return Path(getattr(settings, setting)) / PROBES / f"{quote(machine, safe='')}.probe"


def probes_write() -> None:
    """Write this machine's file into each shared folder, and what is in it into its row: once a start."""
    digests = {}
    for setting in SHARED_FOLDERS:
        text = secrets.token_hex(PROBE_BYTES // 2)
        try:
            private_write(probe_path(setting, settings.MACHINE_NAME), text)
        except OSError as error:
            log.error("probe_not_written", setting=setting, reason=error.strerror)
        digests[setting] = hashlib.sha256(text.encode()).hexdigest()
    Console.objects.filter(machine=settings.MACHINE_NAME).update(probes=digests)


def probes_renew() -> None:
    """Write them again unless all are as the row says.

    Database or folder were away at the start, or the row was removed while nobody saw this machine.
    """
    row = Console.objects.filter(machine=settings.MACHINE_NAME).first()
    if row is not None and any(_fault(one, row.machine, row.probes.get(one, "")) for one in SHARED_FOLDERS):
        probes_write()


def probes_read() -> None:
    """Read what the other machines wrote, and write into this one's row what cannot be read."""
    unread = probes_differing()
    Console.objects.filter(machine=settings.MACHINE_NAME).update(unread=unread, probed_at=Now())
    for one in unread:
        log.error("shared_folder_differs", **one)


def probes_differing() -> list[dict[str, str]]:
    """Return which files of other machines that work are not in the shared folders as they are here."""
    return [
        {"machine": seen.row.machine, "setting": setting, "folder": getattr(settings, setting), "reason": why}
        for seen in consoles_seen()
        if seen.works and seen.row.machine != settings.MACHINE_NAME
        for setting, digest in seen.row.probes.items()
        if setting in SHARED_FOLDERS and (why := _fault(setting, seen.row.machine, digest))
    ]


def _fault(setting: str, machine: str, digest: str) -> str:
    """Return why a machine's probe is not the one of its row; empty if it is."""
    try:
        with probe_path(setting, machine).open("rb") as file:
            found = hashlib.sha256(file.read(PROBE_BYTES + 1)).hexdigest()
    except OSError as error:
        return error.strerror or str(error)
    if found == digest:
        return ""
    # it may have been started anew since the row was read
    row = Console.objects.filter(machine=machine).first()
    return "" if row is None or row.probes.get(setting) == found else gettext_noop("another file is there")


def consoles_seen() -> list[ConsoleSeen]:
    """Return all console machines by name."""
    age = ExpressionWrapper(Now() - F("seen_at"), output_field=DurationField())
    rows = Console.objects.annotate(age=age).order_by("machine")
    return [ConsoleSeen(row, row.age.total_seconds() if row.seen_at else None) for row in rows]


def another_can_work(process: str) -> bool:
    """Return whether another machine runs a process and reaches all that it needs."""
    with connection.cursor() as cursor:
        cursor.execute(ANOTHER_ABLE, [process, settings.MACHINE_NAME])
        return bool(cursor.fetchone()[0])


def roles_led() -> dict[str, list[str]]:
    """Return what one machine does for all, by the machine that does it now."""
    led: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(LEADING, [list(ROLES)])
        for lock, session in cursor.fetchall():
            machine = session.partition("@")[2].rpartition(" ")[0]
            led.setdefault(machine, []).append(ROLES[lock])
    return {machine: sorted(roles) for machine, roles in led.items()}


def processes_by_machine(*, at: datetime) -> dict[str, list[Process]]:
    """Return the processes of each console machine, under their own names."""
    found: dict[str, list[Process]] = {}
    for process in processes_all(at=at):
        name, _, machine = process.name.partition("@")
        found.setdefault(machine or settings.MACHINE_NAME, []).append(replace(process, name=name))
    return found


def heartbeats_forget(machine: str) -> None:
    """Forget the processes of a machine that is gone; without Redis they are forgotten after a day."""
    try:
        client = redis_client()
        fields = [name for name in client.hkeys(KEY) if str(name).endswith(f"@{machine}")]
        if fields:
            client.hdel(KEY, *fields)
    except (RedisError, OSError):
        return
