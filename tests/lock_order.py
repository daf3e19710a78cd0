"""In which order the transactions of tests lock rows, compared with `apps.core.lock_order`.

Only statements are watched, each table's locks from the first one on: which rows they are is known where a
statement says so by its keys, or gives them.  A row that is locked again, or was made in the same
transaction, counts once.
"""

from __future__ import annotations

import functools
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from django.db import connections
from django.db.backends.utils import CursorWrapper
from django.db.transaction import Atomic

from apps.core.lock_order import LOCK_ORDER
from apps.core.prepared_statements import Prepared

SITE: Final = Path(__file__).resolve().parents[1]
TESTS: Final = f"{SITE}/tests/"
HELD: Final = "tests/unit/apps/"
"""Tests whose transactions are watched."""
PRODUCT: Final = f"{SITE}/apps/"
PLACES: Final = {table: at for at, tables in enumerate(LOCK_ORDER) for table in tables}
FREE: Final = {
    "sectors_workercommand": "an order is changed by whoever has locked what it is for, or its host",
    "sectors_storeattachment": "changed by whoever has locked its host or its store",
    "sectors_storeevent": "only added, and deleted with a store that is locked",
    "sectors_hostreport": "changed by whoever has locked its host",
    "sectors_hostinventory": "changed by whoever has locked its host, or in a transaction of its own",
    "messages_recovery": "changed in the moment in which a restored database is noticed, once",
}
"""Tables without a place, and why nobody waits in a circle for their rows."""
ADMITTED: Final = {
    ("sectors_job", "miners_role"): "a claim had found a job when the restored database was noticed, once",
    (0x706F6F6C, "users_token"): "the keys of a lost folder are replaced before anything else starts",
}
"""Pairs the other way round, and why they do no harm."""
QUICK: Final = re.compile(r"\b(?:UPDATE|DELETE|INSERT|pg_advisory_xact_lock)\b")
LOCK: Final = re.compile(
    r"""\b(?:
    (?<!FOR\ )(?<!KEY\ )(?<!DO\ )UPDATE\s+"?(?P<updated>\w+)"?(?=\s+(?:(?:AS\s+)?\w+\s+)?SET\b)
  | DELETE\s+FROM\s+"?(?P<deleted>\w+)
  | INSERT\s+INTO\s+"?(?P<inserted>\w+)"?(?P<upserted>.*ON\s+CONFLICT.*DO\s+UPDATE)?
  | (?P<how>FOR\s+(?:NO\s+KEY\s+)?UPDATE)(?:\s+OF\s+(?P<of>[\w",\s]+?))?
    (?P<skip>\s+SKIP\s+LOCKED|\s+NOWAIT)?(?=\s*(?:$|[);,]))
  | (?P<named>pg_advisory_xact_lock)\(
    )""",
    re.VERBOSE | re.DOTALL,
)
SOURCE: Final = re.compile(r'\b(?:FROM|JOIN)\s+"?(\w+)"?(?:\s+(?:AS\s+)?"?(?!ON\b|WHERE\b)(\w+)"?)?')


@dataclass(frozen=True, slots=True)
class Lock:
    """The rows of one table that a statement locks."""

    table: str | int
    """An int: the class of a named lock."""
    is_made: bool = False
    """Its rows are new: nobody else sees them."""
    is_select: bool = False
    waits: bool = True


@functools.lru_cache(maxsize=4096)
def locks_of(text: str) -> tuple[Lock, ...]:
    """Return what a statement locks, in its order."""
    if not QUICK.search(text):
        return ()
    return tuple(lock for level in _levels(text) for lock in _level_locks(level))


def _levels(text: str) -> list[str]:
    """Return what is in each pair of parentheses, inner ones first, and left out of the outer one."""
    done, open_ = [], [""]
    for part in re.split(r"([()])", text):
        if part == "(":
            open_.append("")
        elif part == ")" and len(open_) > 1:
            done.append(open_.pop())
            open_[-1] += "()"
        else:
            open_[-1] += part
    return [*done, *reversed(open_)] if "pg_advisory_xact_lock" not in text else [text]


def _level_locks(level: str) -> Iterator[Lock]:
    for found in LOCK.finditer(level):
        if found["inserted"]:
            yield Lock(found["inserted"], is_made=not found["upserted"])
        elif found["how"]:
            select = level[max(level.rfind("SELECT", 0, found.start()), 0) : found.start()]
            names = {alias or table: table for table, alias in SOURCE.findall(select)}
            tables = {table: table for table in names.values()}
            named = found["of"].replace('"', "").split(",") if found["of"] else [*tables]
            for name in named:
                table = (names | tables).get(name.strip(), name.strip())
                yield Lock(table, is_select=True, waits=not found["skip"])
        elif found["named"]:
            yield Lock(0)
        else:
            yield Lock(found["updated"] or found["deleted"])


class _Thread(threading.local):
    """The locks that a thread's transaction holds."""

    prepared = ""
    """Text of the prepared statement that is carried out."""

    def __init__(self) -> None:
        self.held: dict[str | int, set[Any]] = {}
        self.made: dict[str | int, set[Any]] = {}

    def begin(self) -> None:
        """Forget what the last transaction held."""
        self.held, self.made = {}, {}


class LockOrder:
    """Watches the locks of all transactions that the product opens, and finds those out of order."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        """Violations of the order, by what is wrong, each with where it happened."""
        self.is_watching = True
        """Whether statements are looked at: those of tests without a watch cost next to nothing."""
        self._thread = _Thread()

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Watch Django's transactions and statements."""
        cursors: Any = CursorWrapper
        enter, execute, prepared = Atomic.__enter__, cursors._execute, Prepared._executed

        def entered(block: Any) -> None:
            enter(block)
            if block.using in {None, "default"}:
                block._by_test = _is_by_test()
                if _open_blocks() == [block]:
                    self._thread.begin()

        def carried_out(statement: Prepared, values: Sequence[Any]) -> Any:
            if self.is_watching:
                self._thread.prepared = statement.text
            return prepared(statement, values)

        def run(cursor: Any, sql: Any, params: Any = None, *rest: Any) -> Any:
            answer = execute(cursor, sql, params, *rest)
            if self.is_watching and cursor.db.alias == "default":
                text = str(sql)
                if self._thread.prepared and "EXECUTE " in text:
                    text, self._thread.prepared = self._thread.prepared, ""
                if locks := locks_of(text):
                    self._note(cursor.cursor, text, params, locks)
            return answer

        patch.setattr(Atomic, "__enter__", entered)
        patch.setattr(cursors, "_execute", run)
        patch.setattr(Prepared, "_executed", carried_out)

    def _note(self, cursor: Any, text: str, params: Any, locks: Sequence[Lock]) -> None:
        """Compare what a statement has locked with what its transaction held before."""
        if not _open_blocks():
            self._thread.begin()
        given = _keys_given(cursor)
        for lock in locks:
            table, keys = lock.table, given if len(locks) == 1 else None
            if table == 0:
                is_named = isinstance(params[0], int)
                table, keys = (params[0] if is_named else "login"), [tuple(params[1:])]
            elif lock.is_made:
                self._thread.made.setdefault(table, set()).update(keys or ())
                continue
            elif keys is None:
                keys = _keys_named(text, params, table)
            if not cursor.rowcount:
                continue
            if lock.is_select and lock.waits and table != "sectors_store" and keys != sorted(keys or ()):
                self._add(f"rows of {table} are not locked by their keys: .order_by('pk')", keys)
            self._hold(table, keys, waits=lock.waits)

    def _hold(self, table: str | int, keys: Sequence[Any] | None, *, waits: bool) -> None:
        held, made = self._thread.held, self._thread.made.get(table, set())
        known = held.get(table, set()) | made
        new = [key for key in keys if key not in known] if keys is not None else [] if known else [None]
        if not new or None in known:  # None: rows that are not known
            return
        if waits and table not in FREE:
            place = PLACES.get(table)
            others = [one for one in held if one != table and one not in FREE]
            if place is None and others:
                self._add(f"{table} has no place in LOCK_ORDER, and is locked after {others}", None)
            for other in others:
                if place is not None and PLACES.get(other, -1) > place and (other, table) not in ADMITTED:
                    self._add(f"{table} is locked after {other}", None)
        held.setdefault(table, set()).update(new)

    def _add(self, what: str, keys: Sequence[Any] | None) -> None:
        """Note what is wrong, unless a test itself does it."""
        if what.startswith("rows") and keys is None:
            return
        frames = list(_frames())
        if frames and frames[0].startswith(PRODUCT):
            self.found.setdefault(what, " < ".join(one.removeprefix(f"{SITE}/") for one in frames[:8]))

    def end(self) -> dict[str, str]:
        """Return what was found since the last time."""
        found, self.found = self.found, {}
        return found


def _frames() -> Iterator[str]:
    """Yield who is at work, the innermost first: lines of the product and of tests."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith((PRODUCT, TESTS)) and not name.endswith(("/lock_order.py", "/service_units.py")):
            yield f"{name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]  # None ends it


def _is_by_test() -> bool:
    """Return whether a test itself opens the transaction."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename.endswith("/service_units.py") and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(TESTS)


def _open_blocks() -> list[Any]:
    """Return the product's open transactions, without those of a test around it."""
    blocks: Sequence[Any] = connections["default"].atomic_blocks
    of_tests = ("_from_testcase", "_by_test")
    return [one for one in blocks if not any(getattr(one, name, False) for name in of_tests)]


def _keys_given(cursor: Any) -> list[Any] | None:
    """Return the keys of the rows that a statement gives, which stay to be read; None if it gives none."""
    names = [column[0] for column in cursor.description or ()]
    at = next((at for at, name in enumerate(names) if name in ("id", "pk")), None)
    if at is None or cursor.name is not None:
        return None
    rows = cursor.fetchall()
    if rows:
        cursor.scroll(0, mode="absolute")
    return [row[at] for row in rows]


def _keys_named(text: str, params: Any, table: str | int) -> list[Any] | None:
    """Return the keys that a statement names; None if it finds its rows otherwise."""
    found = re.search(rf'"{table}"\."id" (?:= %s|IN \((?P<many>[%s, ]+)\))', text)
    if found is None or not params:
        return None
    begin, count = text[: found.start()].count("%s"), (found["many"] or "%s").count("%s")
    return list(params[begin : begin + count])
