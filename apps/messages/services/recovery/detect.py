"""Noticing that the database was restored from a backup, before anything is signed from what it says.

PostgreSQL names itself: a dump that is read in makes other tables, often in another cluster, and a server
that was promoted or set back in time has another timeline.  An old copy of the same files is all of that
again; it is noticed by the marker, a file beside `var` with the newest position in the write-ahead log that
was ever seen.  A server that was left for another one (its standby was promoted, a dump went elsewhere) and
comes back has all that it had; it is noticed by the last recovery, which the marker has and it has not.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import connection, transaction

from apps.core.live import OPERATOR, Change, publish_all
from apps.core.reasons import Reason
from apps.messages.errors import BadMessage
from apps.messages.models import Message, Recovery, Sender, Tracker
from apps.messages.reasons import DATABASE_CHANGED, DATABASE_LEFT, DATABASE_OLDER, DATABASE_OTHER
from apps.messages.selectors.recovery import recovery_hold_reason

log = structlog.get_logger(__name__)

RECOVERY_CHANGE: Final = Change("recovery", 1, OPERATOR)

TIMELINE: Final = "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer"
"""The timeline that is written now; `pg_control_checkpoint` tells that of the last checkpoint, which after a
promotion may be minutes old."""

IDENTITY: Final = f"""
SELECT (SELECT system_identifier::text FROM pg_control_system()),
       {TIMELINE},
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
       'messages_message'::regclass::oid::bigint,
       (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint
"""  # noqa: S608  # a constant


@dataclass(frozen=True, slots=True)
class Identity:
    """What PostgreSQL says of a database."""

    cluster: str
    timeline: int
    database: int
    table: int
    """Of the messages: another one after a dump was read in."""
    position: int
    """Bytes of write-ahead log that are on the disk; it only grows."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Return what stays the same as long as nobody restores or moves it."""
        return {
            "cluster": self.cluster,
            "timeline": self.timeline,
            "database": self.database,
            "table": self.table,
        }


def database_identity_read() -> Identity:
    """Return the database's identity."""
    with connection.cursor() as cursor:
        cursor.execute(IDENTITY)
        return Identity(*cursor.fetchone())


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """What the row says of the database that it was written in."""

    pool: str
    fingerprint: dict[str, Any]
    restored_at: datetime | None


def restore_is_noticed(row: StoredIdentity, *, seen: Identity, marker: dict[str, Any]) -> bool:
    """Return whether this database seems to be another one than it was, or is not known yet.

    For a caller that has read the row and the identity together with other things, and the marker before
    them; the marker is written here if nothing differs, otherwise `restore_check` decides.
    """
    if _difference(row, seen, marker) or row.fingerprint != seen.fingerprint:
        return True
    _marker_write(row, seen, marker)
    return False


def restore_check(*, now: datetime) -> Recovery:
    """Begin recovery if the database is another one than it was, or an older copy; returns the row."""
    # The marker first: what another process writes in between is ahead of what was read before.
    marker = marker_read()
    row, _ = Recovery.objects.get_or_create(pk=1)
    seen = database_identity_read()
    reason = _difference(row, seen, marker)
    if reason:
        row = recovery_begin(reason, now=now, fingerprint=seen.fingerprint)
    elif row.fingerprint != seen.fingerprint:
        row.fingerprint = seen.fingerprint
        Recovery.objects.filter(pk=1).update(fingerprint=seen.fingerprint)
    # Only with the row: an undone recovery is to be noticed again.
    transaction.on_commit(lambda: _marker_write(row, seen, marker))
    return row


def database_moved_note() -> None:
    """Note that the database was copied whole to where it is now, while nothing wrote: that is no restore.

    For `make servers` alone, which has made the old one unusable before.
    """
    with transaction.atomic():
        row = Recovery.objects.select_for_update().get(pk=1)
        marker, seen = marker_read(), database_identity_read()
        row.fingerprint = seen.fingerprint
        row.save(update_fields=["fingerprint"])
        transaction.on_commit(lambda: _marker_write(row, seen, marker))


def recovery_require_over(address: str, *, now: datetime) -> None:
    """Raise BadMessage if nothing of this sender may be signed until recovery is over."""
    sender = Sender.objects.filter(address=address).first()
    with transaction.atomic():  # ends before the refusal: a recovery that begins here is to be stored
        hold = None if sender is None else recovery_hold_reason(sender, restore_check(now=now))
    if hold:
        raise BadMessage(hold, field="from")


@transaction.atomic
def recovery_begin(
    reason: Reason | str, *, now: datetime, fingerprint: dict[str, Any] | None = None
) -> Recovery:
    """Stop all signing until what the chain knows is read back."""
    Recovery.objects.get_or_create(pk=1)
    row = Recovery.objects.select_for_update().get(pk=1)
    if row.since is None or fingerprint:
        row.reason = reason  # further differences found while recovery runs follow from this one
    if row.since is None:
        row.from_height = Tracker.objects.values_list("height", flat=True).first() or -1
        row.matched = 0
    if row.sectors_since is None:
        row.sectors_recovered = 0
    row.since, row.ended_at, row.read_height = now, None, None
    row.restored_at, row.sectors_since, row.fingerprint = now, now, fingerprint or row.fingerprint
    row.save()
    Sender.objects.exclude(read_nonce=None).update(read_nonce=None)
    publish_all((Change("messages", "all", None), RECOVERY_CHANGE))
    log.error("recovery_begins", reason=reason, from_height=row.from_height)
    return row


def _difference(row: Recovery | StoredIdentity, seen: Identity, marker: dict[str, Any]) -> Reason | None:
    """Return how this database differs from the one that was used last; None if it does not."""
    if row.fingerprint and row.fingerprint != seen.fingerprint:
        names = [name for name, value in seen.fingerprint.items() if row.fingerprint.get(name) != value]
        return DATABASE_CHANGED(names=" and ".join(names))
    if not marker:
        return None
    if marker.get("pool") != str(row.pool):
        has_rows = not row.fingerprint and Message.objects.exists()
        return DATABASE_OTHER() if has_rows else None
    last = _moment_of(marker)
    if last is not None and (row.restored_at is None or row.restored_at < last):
        return DATABASE_LEFT()
    is_same = all(marker.get(name) == value for name, value in seen.fingerprint.items())
    if is_same and int(marker.get("position", 0)) > seen.position:
        return DATABASE_OLDER()
    return None


def _moment_of(marker: dict[str, Any]) -> datetime | None:
    """Return when the recovery began that the marker knows; None if it knows none."""
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(str(marker.get("restored_at", "")))
    return None


def _marker_path() -> Path | None:
    return settings.DATABASE_MARKER


def marker_read() -> dict[str, Any]:
    """Return what the marker says; nothing if it cannot be read."""
    path = _marker_path()
    if path is None:
        return {}
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text())
        return found if isinstance(found, dict) else {}
    return {}


def _marker_write(row: Recovery | StoredIdentity, seen: Identity, before: dict[str, Any]) -> None:
    """Keep the newest position; a folder that cannot be written leaves the other signs."""
    path = _marker_path()
    text = {"pool": str(row.pool), **seen.fingerprint, "position": seen.position}
    if row.restored_at is not None:
        text["restored_at"] = row.restored_at.isoformat()
    if path is None or text == before:
        return
    new = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        new.write_text(json.dumps(text))
        new.replace(path)
    except OSError as error:
        log.warning("marker_not_written", path=str(path), reason=error.strerror)
