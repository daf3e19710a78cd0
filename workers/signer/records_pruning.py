"""Removal of old draws of randomness and votes from the records: most rows, and none that protects anything.

Whoever asks for a draw again gets the same bytes, and a vote moves nothing.  Everything else stays for good:
messages, of which one id gets one nonce, signed blocks, and all that was refused.  The file itself refuses
to remove those.  Of rows that are removed, `pruned` keeps the hashes at both ends of each run, so that the
chain can be verified across it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Final

import structlog

from workers.signer.records import Records
from workers.signer.records_schema import PRUNABLE

log = structlog.get_logger(__name__)

RETENTION: Final = timedelta(days=90)
STEP_ROWS: Final = 20
"""Rows removed at once: a signature waits for them, as two cannot write the file at a time."""
SCANNED_ROWS: Final = 10_000
"""Rows read at once, for which no signature waits."""
PAUSE_S: Final = 0.1
"""After each removal."""
DAY_S: Final = 86_400.0

FIRST: Final = f"""
SELECT seq FROM record WHERE seq > :after AND seq <= :end AND {PRUNABLE} ORDER BY seq LIMIT 1
"""  # noqa: S608  # our names
RUN: Final = f"""
SELECT seq, previous, hash, {PRUNABLE} AS is_prunable FROM record
WHERE seq >= :first AND seq <= :end ORDER BY seq LIMIT :limit
"""  # noqa: S608  # our names


@contextlib.contextmanager
def pruned_daily(path: Path) -> Iterator[None]:
    """Prune the records in a thread of its own, at once and once a day, until the block ends."""
    stopped = threading.Event()
    thread = threading.Thread(target=_prune_daily, args=(path, stopped), name="records", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _prune_daily(path: Path, stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            removed = prune(path, before=datetime.now(UTC) - RETENTION, stopped=stopped)
            if removed:
                log.info("records_pruned", removed=removed)
        except (OSError, sqlite3.Error) as error:  # as on a full disk: tried again the next day
            log.warning("records_not_pruned", reason=str(error)[:200])
        stopped.wait(DAY_S)


def prune(path: Path, *, before: datetime, stopped: threading.Event) -> int:
    """Remove draws and votes that were signed before then, and return how many.  Raises sqlite3.Error.

    It has a connection of its own, and pauses between its steps: signing goes on.
    """
    records, removed = Records(path), 0
    try:
        records.link.execute("DROP TRIGGER IF EXISTS record_no_delete")  # of an older signer, for all rows
        after = records.link.execute("SELECT COALESCE(MAX(last), 0) FROM pruned").fetchone()[0]
        end = _end(records, before.astimezone(UTC).isoformat())
        while after < end and not stopped.is_set():
            until = min(after + SCANNED_ROWS, end)
            first = records.link.execute(FIRST, {"after": after, "end": until}).fetchone()
            if first is None:
                after = until
                continue
            count = _run_remove(records, first=first["seq"], end=until)
            after, removed = first["seq"] + count - 1, removed + count
            stopped.wait(PAUSE_S)
    finally:
        records.close()
    return removed


def _end(records: Records, before: str) -> int:
    """Return the last row that was written before then; never the newest, after whose hash the next is made.

    Rows are in the order of their times, but where a clock was set back.
    """
    low, high = 0, records.link.execute("SELECT COALESCE(MAX(seq), 0) - 1 FROM record").fetchone()[0]
    while low < high:
        middle = (low + high + 1) // 2
        row = records.link.execute("SELECT at FROM record WHERE seq >= ? ORDER BY seq", (middle,)).fetchone()
        low, high = (middle, high) if row["at"] < before else (low, middle - 1)
    return low


def _run_remove(records: Records, *, first: int, end: int) -> int:
    """Remove a row with those right behind it that may go too, a few at most, and return how many."""
    with records.transaction(is_durable=False):
        rows = records.link.execute(RUN, {"first": first, "end": end, "limit": STEP_ROWS})
        run = list(takewhile(lambda row: row["is_prunable"], rows.fetchall()))
        if not run:
            return 0
        ends = {"first": run[0]["seq"], "last": run[-1]["seq"]}
        hashes = {"previous": run[0]["previous"], "hash": run[-1]["hash"]}
        longer = records.link.execute(
            "UPDATE pruned SET last = :last, hash = :hash"
            " WHERE last = (SELECT MAX(last) FROM pruned) AND hash = :previous",
            {**ends, **hashes},
        )
        if not longer.rowcount:
            records.link.execute("INSERT INTO pruned VALUES (:last, :first, :previous, :hash)", ends | hashes)
        return records.link.execute("DELETE FROM record WHERE seq BETWEEN :first AND :last", ends).rowcount
