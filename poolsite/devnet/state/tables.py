"""The chain's state as tables of rows: immutable versions that share what did not change.

A version is cheap to keep, so each tipset has one.  The state root is the CID of a small object that
lists, for each table, its number of rows and the sum of its rows' hashes: it depends on the rows alone,
not on the order in which they came to be, and a block costs work only for the rows it changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from poolsite.devnet.state.records import Record, record_to_bytes
from poolsite.filecoin.cbor import encode
from poolsite.filecoin.cids import Cid, cid_of_cbor

Key = int | bytes | str | tuple[int, int]
"""What names a row within its table."""
T = TypeVar("T")

FORM: Final = "poolsite-devnet-state/1"
"""Names the form of the root object."""
BUCKETS: Final = 64
"""Parts of a table that are copied apart from each other when a row changes."""
SUM_BITS: Final = 512
"""Width of the sum of row hashes; wide enough that nobody finds two tables with one sum."""
MASK: Final = (1 << SUM_BITS) - 1


def _row_hash(table: str, key: Key, data: bytes) -> int:
    named = encode([table, list(key) if isinstance(key, tuple) else key])
    return int.from_bytes(hashlib.blake2b(named + data, digest_size=64).digest(), "big")


@dataclass(frozen=True, slots=True)
class Row:
    """A record with its bytes and the hash that counts in the table's sum."""

    record: Any
    data: bytes
    hash: int


@dataclass(frozen=True, slots=True)
class Table:
    """One version of one table."""

    buckets: tuple[dict[Key, Row], ...]
    count: int
    sum: int

    def get(self, key: Key) -> Row | None:
        return self.buckets[hash(key) % BUCKETS].get(key)

    def keys(self) -> Iterator[Key]:
        for bucket in self.buckets:
            yield from bucket


EMPTY_TABLE: Final = Table(buckets=tuple({} for _ in range(BUCKETS)), count=0, sum=0)

Change = tuple[str, Key, bytes | None]
"""Table, key and new bytes of a row; None where the row went away."""


@dataclass(frozen=True, slots=True)
class State:
    """One version of all tables."""

    tables: Mapping[str, Table]

    def get(self, table: str, key: Key) -> Any:
        """Return the record, or None."""
        rows = self.tables.get(table)
        row = None if rows is None else rows.get(key)
        return None if row is None else row.record

    def row_bytes(self, table: str, key: Key) -> bytes | None:
        """Return the bytes of a row, or None."""
        rows = self.tables.get(table)
        row = None if rows is None else rows.get(key)
        return None if row is None else row.data

    def keys(self, table: str) -> list[Any]:
        """All keys of a table, in order."""
        rows = self.tables.get(table)
        return [] if rows is None else sorted(rows.keys())

    def records(self, table: str) -> list[Any]:
        """All records of a table, in the order of their keys."""
        return [self.get(table, key) for key in self.keys(table)]

    def root_object(self) -> bytes:
        """Return the object whose CID is the state root."""
        rows = [
            [name, table.count, table.sum.to_bytes(SUM_BITS // 8, "big")]
            for name, table in sorted(self.tables.items())
            if table.count
        ]
        return encode([FORM, rows])

    def root(self) -> Cid:
        """Return the state root."""
        return cid_of_cbor(self.root_object())

    def rows(self) -> Iterator[Change]:
        """Every row, for a snapshot."""
        for name, table in sorted(self.tables.items()):
            for bucket in table.buckets:
                for key, row in bucket.items():
                    yield name, key, row.data


EMPTY_STATE: Final = State(tables={})


class Draft:
    """A state being changed: reads see the changes, savepoints undo them, `seal` makes the next version."""

    __slots__ = ("_journal", "_writes", "base")

    def __init__(self, base: State) -> None:
        self.base = base
        self._writes: dict[str, dict[Key, Any]] = {}
        self._journal: list[tuple[str, Key, bool, Any]] = []

    def get(self, table: str, key: Key) -> Any:
        """Return the record as changed so far, or None."""
        written = self._writes.get(table)
        if written is not None and key in written:
            return written[key]
        return self.base.get(table, key)

    def put(self, table: str, key: Key, record: Record) -> None:
        """Write a row."""
        self._write(table, key, record)

    def delete(self, table: str, key: Key) -> None:
        """Remove a row if it is there."""
        self._write(table, key, None)

    def keys(self, table: str) -> list[Any]:
        """All keys of a table as changed so far, in order."""
        keys = set(self.base.keys(table))
        for key, record in self._writes.get(table, {}).items():
            if record is None:
                keys.discard(key)
            else:
                keys.add(key)
        return sorted(keys)

    def mark(self) -> int:
        """Return a savepoint to give to `rollback`."""
        return len(self._journal)

    def rollback(self, mark: int) -> None:
        """Undo everything written since `mark`."""
        while len(self._journal) > mark:
            table, key, was_written, before = self._journal.pop()
            if was_written:
                self._writes[table][key] = before
            else:
                del self._writes[table][key]

    def seal(self) -> tuple[State, list[Change]]:
        """Return the next version and the rows that differ from the base."""
        tables = dict(self.base.tables)
        changes: list[Change] = []
        for name in sorted(self._writes):
            tables[name] = _table_changed(name, tables.get(name, EMPTY_TABLE), self._writes[name], changes)
        return State(tables=tables), changes

    def _write(self, table: str, key: Key, record: Any) -> None:
        written = self._writes.setdefault(table, {})
        was_written = key in written
        self._journal.append((table, key, was_written, written.get(key)))
        written[key] = record


def state_changed(base: State, changes: Mapping[str, Mapping[Key, tuple[Any, bytes] | None]]) -> State:
    """Apply stored changes (record and its bytes, or None) to a version."""
    tables = dict(base.tables)
    for name, rows in changes.items():
        editor = _Editor(name, tables.get(name, EMPTY_TABLE))
        for key, value in rows.items():
            editor.set(key, None if value is None else value[0], None if value is None else value[1])
        tables[name] = editor.table()
    return State(tables=tables)


def _table_changed(name: str, table: Table, written: dict[Key, Any], changes: list[Change]) -> Table:
    editor = _Editor(name, table)
    for key, record in written.items():
        data = None if record is None else record_to_bytes(record)
        if editor.set(key, record, data):
            changes.append((name, key, data))
    return editor.table()


class _Editor:
    """Makes a new version of one table, copying only the parts that change."""

    __slots__ = ("buckets", "copied", "count", "name", "sum")

    def __init__(self, name: str, table: Table) -> None:
        self.name = name
        self.buckets = list(table.buckets)
        self.copied: set[int] = set()
        self.count = table.count
        self.sum = table.sum

    def set(self, key: Key, record: Any, data: bytes | None) -> bool:
        """Set or remove one row; False if nothing differs."""
        at = hash(key) % BUCKETS
        old = self.buckets[at].get(key)
        if (old.data if old is not None else None) == data:
            return False
        if at not in self.copied:
            self.buckets[at] = dict(self.buckets[at])
            self.copied.add(at)
        if old is not None:
            self.count -= 1
            self.sum -= old.hash
            del self.buckets[at][key]
        if data is not None:
            row = Row(record=record, data=data, hash=_row_hash(self.name, key, data))
            self.count += 1
            self.sum += row.hash
            self.buckets[at][key] = row
        return True

    def table(self) -> Table:
        return Table(buckets=tuple(self.buckets), count=self.count, sum=self.sum & MASK)
