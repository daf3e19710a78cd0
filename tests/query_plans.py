"""What the database reads for a query: counted in blocks, which do not depend on how busy the machine is."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from django.db import connection

PLANNED: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "EXECUTE")
"""First words of statements that have a plan."""


class Reads(NamedTuple):
    """Blocks of 8 KiB that a query touches; rows that it looks at, those that do not fit among them."""

    blocks: int
    rows: int


def reads_of(
    queries: Iterable[Mapping[str, str]], *, about: str = "", known: dict[str, Reads] | None = None
) -> dict[str, Reads]:
    """Return what each captured SELECT reads, of those that name `about`.

    `known` are those of the same rows that were counted before; it learns the others.
    """
    reads: dict[str, Reads] = {}
    counted = {} if known is None else known
    with connection.cursor() as cursor:
        for sql in (row["sql"] for row in queries if row["sql"].startswith("SELECT") and about in row["sql"]):
            if sql not in counted:
                cursor.execute(f"explain (analyze, buffers, format json) {sql}")
                plan = plan_of(cursor)
                counted[sql] = Reads(blocks_read(plan), round(sum(rows for _, rows in _reads(plan))))
            before = reads.get(sql, Reads(0, 0))
            reads[sql] = Reads(before.blocks + counted[sql].blocks, before.rows + counted[sql].rows)
    return reads


def blocks_of(queries: Iterable[Mapping[str, str]], *, about: str = "") -> dict[str, int]:
    """Return the blocks of 8 KiB that each captured SELECT touches, of those that name `about`."""
    return {sql: read.blocks for sql, read in reads_of(queries, about=about).items()}


def plan_of(cursor: Any) -> dict[str, Any]:
    """Return the plan that an `explain (format json)` answered."""
    told = cursor.fetchone()[0]
    found: dict[str, Any] = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
    return found


def plan_run(cursor: Any, text: str, values: Sequence[Any] | None = None) -> dict[str, Any]:
    """Carry a statement out and return its plan with what was read; the caller undoes what it wrote."""
    cursor.execute(f"explain (analyze, buffers, format json) {text}", values)
    return plan_of(cursor)


def blocks_read(plan: dict[str, Any]) -> int:
    """Return how many blocks of 8 KiB a statement touched, those of its indexes among them."""
    touched: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return touched


def rows_read(plan: dict[str, Any], table: str) -> float:
    """Return how many rows of a table were looked at, those that did not fit among them."""
    return sum(rows for name, rows in _reads(plan) if name == table)


def scanned_whole(plan: dict[str, Any]) -> set[str]:
    """Return the tables that were read from end to end, without an index."""
    return {
        part["Relation Name"] for part in _parts(plan) if part["Node Type"] == "Seq Scan" and _loops(part)
    }


def _reads(plan: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for part in _parts(plan):
        name = part.get("Relation Name")
        if name is not None and part["Node Type"] != "ModifyTable":
            removed = part.get("Rows Removed by Filter", 0) + part.get("Rows Removed by Index Recheck", 0)
            yield name, (part["Actual Rows"] + removed) * _loops(part)


def _loops(part: dict[str, Any]) -> float:
    return float(part["Actual Loops"])


def _parts(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _parts(part)


class Watched:
    """The plans of what this thread's connection carries out, each taken in its place, just before it."""

    def __init__(self, tables: Collection[str]) -> None:
        self.tables = frozenset(tables)
        """Those that nothing may read from end to end."""
        self.statements: set[str] = set()
        self.whole: dict[str, set[str]] = {}
        """Statements that read such a table without an index, with what they read."""
        self.most: dict[str, tuple[float, str]] = {}
        """By table the most rows that one statement looked at, and which one it was."""

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        """Explain a statement and undo it, then carry it out: for Django's `execute_wrapper`."""
        text = str(sql)
        how, _, last = text.rpartition("; ") if "EXECUTE " in text else ("", "", text)
        if last.lstrip().partition(" ")[0].upper() in PLANNED and "pg_advisory" not in text:
            self.plan_note(text, self.explained(how, last, params[0] if many else params))
        return execute(sql, params, many, context)

    def plan_note(self, text: str, plan: dict[str, Any]) -> None:
        """Note what a plan reads of the tables."""
        self.statements.add(text)
        if whole := scanned_whole(plan) & self.tables:
            self.whole[text] = whole
        for table in self.tables:
            rows = rows_read(plan, table)
            self.most[table] = max(self.most.get(table, (0.0, "")), (rows, text))

    def explained(self, how: str, text: str, params: Any) -> dict[str, Any]:
        """Return the plan of a statement with what was read, and undo what it wrote."""
        begin, end = ("BEGIN", "ROLLBACK")
        if connection.in_atomic_block:
            begin, end = ("SAVEPOINT explained", "ROLLBACK TO SAVEPOINT explained")
        with connection.connection.cursor() as cursor:
            cursor.execute(f"{begin}; {how}")
            plan = plan_run(cursor, text, params)
            cursor.execute(end)
        return plan

    def check(self) -> None:
        """Raise AssertionError that names the statements which read such a table from end to end."""
        told = [f"{sorted(tables)}: {text[:1_000]}" for text, tables in self.whole.items()]
        assert not told, "read without an index:\n" + "\n".join(told)


@contextmanager
def plans_watched(*tables: str) -> Iterator[Watched]:
    """Watch the plans of all statements of the block: which read one of these tables from end to end."""
    watched = Watched(tables)
    with connection.execute_wrapper(watched):
        yield watched
