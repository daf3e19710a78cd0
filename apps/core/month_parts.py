"""Tables of events in parts by month, so that an old month is dropped at once instead of row by row.

Plain partitions of PostgreSQL by the column `at`.  All rows from before become the first part as they lie:
nothing is copied, and writers wait for moments.  Every part is like the first, so that what is unique within
a part (a job's number of a report) stays so; what must be unique for ever has no place in such a table.  A
part `rest` takes what no month has yet.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import structlog
from django.db import OperationalError, connection, transaction

log = structlog.get_logger(__name__)

LOCK_WAIT: Final = "200ms"
"""Of each of the locks that a change of parts takes, while writers wait behind it."""
AHEAD: Final = timedelta(days=35)
"""How early a month's part is made."""
STEP_ROWS: Final = 1_000
"""Rows of the first part that are deleted at a time."""
TURN_S: Final = 20.0
"""How long one turn deletes them at most."""

PARTITIONED: Final = """
select relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where relkind = 'p' and nspname = current_schema() order by relname
"""
PARTS: Final = """
select part.relname from pg_inherits join pg_class part on part.oid = inhrelid
where inhparent = to_regclass(%s) order by 1
"""
INDEXES: Final = """
select index.relname, pg_get_indexdef(indexrelid), exists (
    select from pg_constraint where conindid = indexrelid and contype in ('p', 'u')
)
from pg_index join pg_class index on index.oid = indexrelid where indrelid = to_regclass(%s)
"""
FOREIGN_KEYS: Final = """
select conname, pg_get_constraintdef(oid), confrelid::regclass::text from pg_constraint
where conrelid = to_regclass(%s) and contype = 'f'
"""
BOUND: Final = re.compile(r"_before_(\d{4})_(\d\d)$")
MONTH: Final = re.compile(r"_(\d{4})_(\d\d)$")


def table_partition(table: str) -> None:
    """Turn a table into one of parts by month; a run that was killed halfway is taken up again."""
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONED)
        if (table,) not in cursor.fetchall():
            _key_make(cursor, table)
            bound = _bound_make(cursor, table)
            with transaction.atomic():
                _swap(cursor, table, bound)
        months_make(table)


def months_make(table: str) -> None:
    """Make the parts of this month and of those that begin soon."""
    with connection.cursor() as cursor:
        cursor.execute(PARTS, [table])
        names = [name for (name,) in cursor.fetchall()]
        months = {_month_of(table, name) for name in names}
        cursor.execute(f"SELECT min(at) FROM {table}_rest")  # noqa: S608
        (oldest,) = cursor.fetchone()
        today = datetime.now(UTC).date()
        first = _month(min(today, oldest.date()) if oldest else today)
        for month in _months(max(first, _first_bound(cursor, table))):
            if month not in months:
                with transaction.atomic():
                    _month_make(cursor, table, month)


def months_drop(table: str, *, until: date) -> int:
    """Drop the parts that ended by the month `until`; return how many rows of the first part were deleted.

    Of the first part, which goes on to its own end, old rows are deleted in steps, for `TURN_S` at most.
    """
    first = f"{table}_before"
    with connection.cursor() as cursor:
        cursor.execute(PARTS, [table])
        names = [name for (name,) in cursor.fetchall()]
        for name in names:
            month = _month_of(table, name)
            end = (
                _next(month) if month is not None else _first_bound(cursor, table) if name == first else None
            )
            if end is not None and end <= until:
                with transaction.atomic():
                    _locks(cursor, table)
                    cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {name}; DROP TABLE {name}")
                names = [other for other in names if other != name]
        if first not in names:
            return 0
        removed, above, began = 0, 0, time.monotonic()
        while time.monotonic() - began < TURN_S:
            cursor.execute(
                f"WITH step AS (SELECT id FROM {first} WHERE id > %s ORDER BY id LIMIT %s),"  # noqa: S608
                f" deleted AS (DELETE FROM {first} old USING step"
                " WHERE old.id = step.id AND at < %s RETURNING 1)"
                " SELECT coalesce(max(id), 0), (SELECT count(*) FROM deleted) FROM step",
                [above, STEP_ROWS, until],
            )
            above, count = cursor.fetchone()
            if not count:  # a few newer rows may lie between old ones, not a whole step of them
                break
            removed += count
        return removed


def months_keep(*, kept_months: int, today: date) -> None:
    """Make the coming parts of all such tables, and drop those older than that many months; 0: none.

    Where a lock is not free within moments, the next turn does it: parts are made a month before.
    """
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONED)
        tables = [name for (name,) in cursor.fetchall()]
    months = today.year * 12 + today.month - 1 - kept_months
    for table in tables:
        try:
            months_make(table)
            if kept_months:
                months_drop(table, until=date(months // 12, months % 12 + 1, 1))
        except OperationalError as error:
            log.info("months_not_kept", table=table, reason=str(error).strip()[:200])


def _month(day: date) -> date:
    return day.replace(day=1)


def _next(month: date) -> date:
    return _month(month + timedelta(days=31))


def _months(first: date) -> Iterator[date]:
    """Yield months from the first one on, until the last that begins soon."""
    last = datetime.now(UTC).date() + AHEAD
    month = first
    while month <= last or month == first:
        yield month
        month = _next(month)


def _month_of(table: str, name: str) -> date | None:
    found = MONTH.fullmatch(name.removeprefix(table))
    return date(int(found[1]), int(found[2]), 1) if found else None


def _first_bound(cursor: Any, table: str) -> date:
    """Return the month at which the first part ends; of a table without one any that is over."""
    cursor.execute(
        "select pg_get_expr(relpartbound, oid) from pg_class where oid = to_regclass(%s)", [f"{table}_before"]
    )
    row = cursor.fetchone()
    found = re.search(r"TO \('(\d{4})-(\d\d)-", row[0]) if row and row[0] else None
    return date(int(found[1]), int(found[2]), 1) if found else date.min


def _key_make(cursor: Any, table: str) -> None:
    """Make the index of the key that all parts share, beside writers."""
    name, beside = f"{table}_id_at", "" if connection.in_atomic_block else "CONCURRENTLY"
    cursor.execute("select indisvalid from pg_index where indexrelid = to_regclass(%s)", [name])
    row = cursor.fetchone()
    if row == (True,):
        return
    cursor.execute("show lock_timeout")
    (usual,) = cursor.fetchone()
    cursor.execute("set lock_timeout = 0")  # it holds back no writer, and waits for older transactions
    if row is not None:
        cursor.execute(f"DROP INDEX {beside} {name}")
    cursor.execute(f"CREATE UNIQUE INDEX {beside} {name} ON {table} (id, at)")
    cursor.execute("select set_config('lock_timeout', %s, false)", [usual])


def _bound_make(cursor: Any, table: str) -> date:
    """Return the month at which the first part ends, once all its rows are known to be older.

    Weeks from now: a run that is killed here, and not done again soon, leaves the table with this limit.
    """
    day = datetime.now(UTC).date()
    cursor.execute(
        "select conname, convalidated from pg_constraint where conrelid = to_regclass(%s) and contype = 'c'",
        [table],
    )
    for name, is_valid in cursor.fetchall():
        if found := BOUND.search(name):
            bound = date(int(found[1]), int(found[2]), 1)
            if is_valid and bound > day + timedelta(days=1):
                return bound
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    cursor.execute(f"SELECT max(at) FROM {table}")  # noqa: S608
    (newest,) = cursor.fetchone()
    bound = _next(_month(max(day + AHEAD, newest.date() if newest else day)))
    name = f"{table}_before_{bound:%Y_%m}"
    cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK (at < '{bound}T00:00:00Z') NOT VALID")
    cursor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    return bound


def _locks(cursor: Any, table: str) -> None:
    """Lock a table, after those that its rows refer to: writers take them in that order."""
    cursor.execute(FOREIGN_KEYS, [table])
    others = sorted({other for _, _, other in cursor.fetchall()})
    run = [
        f"SET LOCAL lock_timeout = '{LOCK_WAIT}'",
        *(f"LOCK TABLE {other} IN SHARE ROW EXCLUSIVE MODE" for other in others),
        f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
    ]
    cursor.execute(
        "; ".join(run)
    )  # at once, as all that follows: each answer waited for is a wait of writers


def _swap(cursor: Any, table: str, bound: date) -> None:
    """Put a table of parts in the place of a table, with that as its first part."""
    before, sequence = f"{table}_before", f"{table}_id_seq"
    cursor.execute(INDEXES, [table])
    indexes = [(name, text) for name, text, is_constraint in cursor.fetchall() if not is_constraint]
    cursor.execute(FOREIGN_KEYS, [table])
    keys = [(name, text) for name, text, _ in cursor.fetchall()]
    run = [
        f"ALTER TABLE {table} RENAME TO {before}",
        f"ALTER SEQUENCE {sequence} RENAME TO {sequence}_before",
        f"CREATE TABLE {table} (LIKE {before} INCLUDING DEFAULTS) PARTITION BY RANGE (at)",
        f"CREATE SEQUENCE {sequence} OWNED BY {table}.id",
        f"SELECT setval('{sequence}', last_value, is_called) FROM {sequence}_before",  # noqa: S608
        f"ALTER TABLE {table} ALTER COLUMN id SET DEFAULT nextval('{sequence}')",
        f"ALTER TABLE {before} ALTER COLUMN id DROP IDENTITY",
        f"ALTER TABLE {before} DROP CONSTRAINT {table}_pkey",
        f"ALTER TABLE {before} ADD CONSTRAINT {before}_pkey PRIMARY KEY USING INDEX {table}_id_at",
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY (id, at)",
    ]
    for name, text in indexes:
        if name != f"{table}_id_at":
            run += [f"ALTER INDEX {name} RENAME TO {name[:50]}_before", text]  # for the table of the old name
    run += [f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}" for name, text in keys]
    run += [
        f"ALTER TABLE {table} ATTACH PARTITION {before} FOR VALUES FROM (MINVALUE) TO ('{bound}T00:00:00Z')",
        f"ALTER TABLE {before} DROP CONSTRAINT {table}_before_{bound:%Y_%m}",
        f"CREATE TABLE {table}_rest (LIKE {before} INCLUDING DEFAULTS INCLUDING INDEXES)",
        f"ALTER TABLE {table} ATTACH PARTITION {table}_rest DEFAULT",
    ]
    _locks(cursor, table)
    cursor.execute("; ".join(run))


def _month_make(cursor: Any, table: str, month: date) -> None:
    """Make the part of a month, with what `rest` has of it."""
    name, rest = f"{table}_{month:%Y_%m}", f"{table}_rest"
    since, until = f"'{month}T00:00:00Z'", f"'{_next(month)}T00:00:00Z'"
    run = [
        f"CREATE TABLE {name} (LIKE {rest} INCLUDING DEFAULTS INCLUDING INDEXES)",
        f"WITH moved AS (DELETE FROM {rest} WHERE at >= {since} AND at < {until} RETURNING *)"  # noqa: S608
        f" INSERT INTO {name} SELECT * FROM moved",
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({since}) TO ({until})",
    ]
    _locks(cursor, table)
    cursor.execute("; ".join(run))
