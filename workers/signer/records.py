"""What was signed and what was refused: a SQLite file that only grows, each row chained to the one before.

The signer's own log is the truth; the console keeps a copy of its own requests.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from workers.signer.things import Thing

NANO: Final = 10**9
"""attoFIL in a nanoFIL; sums of a day are kept in these, rounded up, as SQLite's integers have 64 bits."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL,
    day TEXT NOT NULL,
    type TEXT NOT NULL,
    address TEXT NOT NULL,
    caller TEXT NOT NULL,
    words TEXT NOT NULL,
    cid TEXT NOT NULL,
    target TEXT NOT NULL,
    value TEXT NOT NULL,
    value_nano INTEGER NOT NULL,
    fee_nano INTEGER NOT NULL,
    rule TEXT NOT NULL,
    policy TEXT NOT NULL,
    error TEXT NOT NULL,
    raw BLOB NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS record_spent ON record (rule, address, day) WHERE error = '';
CREATE TRIGGER IF NOT EXISTS record_no_update BEFORE UPDATE ON record
    BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER IF NOT EXISTS record_no_delete BEFORE DELETE ON record
    BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
"""

COLUMNS: Final = (
    "id", "at", "day", "type", "address", "caller", "words", "cid", "target", "value", "value_nano",
    "fee_nano", "rule", "policy", "error", "raw", "previous",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy said."""

    rule: str
    """Name of the rule that decided; empty if none fits."""
    policy: str
    """Digest of the policy file."""
    error: str = ""
    """Why not; empty if it may be signed."""


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Which records to show; empty fields ask for all."""

    id: str = ""
    type: str = ""
    address: str = ""
    errors_only: bool = False
    after: str = ""
    before: str = ""
    skip: int = 0
    limit: int = 0


class Records:
    """The file.  One thread uses it."""

    def __init__(self, path: Path) -> None:
        self.link = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        path.chmod(0o600)
        self.link.row_factory = sqlite3.Row
        self.link.execute("PRAGMA journal_mode=WAL")
        self.link.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; a power cut may cost the last rows
        self.link.execute("PRAGMA busy_timeout=5000")
        self.link.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self.link.close()

    def write(self, thing: Thing, verdict: Verdict, *, caller: str, now: datetime) -> str:
        """Add one row and give its id."""
        row: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "at": now.astimezone(UTC).isoformat(),
            "day": now.astimezone(UTC).date().isoformat(),
            "type": thing.type,
            "address": str(thing.address),
            "caller": caller[:200],
            "words": thing.words[:500],
            "cid": thing.cid,
            "target": str(thing.to) if thing.to is not None else "",
            "value": str(thing.value),
            "value_nano": -(-thing.value // NANO),
            "fee_nano": -(-thing.fee_max // NANO),
            "rule": verdict.rule,
            "policy": verdict.policy,
            "error": verdict.error[:500],
            "raw": thing.raw,
        }
        self.link.execute("BEGIN IMMEDIATE")
        try:
            last = self.link.execute("SELECT hash FROM record ORDER BY seq DESC LIMIT 1").fetchone()
            row["previous"] = last["hash"] if last is not None else ""
            names = ", ".join((*COLUMNS, "hash"))
            marks = ", ".join("?" for _ in range(len(COLUMNS) + 1))
            values = [*(row[name] for name in COLUMNS), record_hash(row)]
            self.link.execute(f"INSERT INTO record ({names}) VALUES ({marks})", values)  # noqa: S608  # our names
        except BaseException:
            self.link.execute("ROLLBACK")
            raise
        self.link.execute("COMMIT")
        return str(row["id"])

    def spent(self, *, rule: str, address: str, day: str) -> tuple[int, int]:
        """Give value and fees in attoFIL that a rule let this key spend on a day (UTC), rounded up."""
        row = self.link.execute(
            "SELECT COALESCE(SUM(value_nano >> 32), 0), COALESCE(SUM(value_nano & 4294967295), 0),"
            " COALESCE(SUM(fee_nano >> 32), 0), COALESCE(SUM(fee_nano & 4294967295), 0) FROM record"
            " WHERE rule = ? AND address = ? AND day = ? AND error = ''",
            (rule, address, day),
        ).fetchone()  # in halves: SQLite refuses a sum above 64 bits
        return ((row[0] << 32) + row[1]) * NANO, ((row[2] << 32) + row[3]) * NANO

    def query(self, asked: RecordQuery) -> list[sqlite3.Row]:
        """Give records, newest first; an id alone decides when it is given."""
        if asked.id:
            return self.link.execute("SELECT * FROM record WHERE id = ?", (asked.id,)).fetchall()
        return self.link.execute(
            "SELECT * FROM record WHERE (? = '' OR type = ?) AND (? = '' OR address = ?)"
            " AND (NOT ? OR error != '') AND (? = '' OR at > ?) AND (? = '' OR at < ?)"
            " ORDER BY seq DESC LIMIT ? OFFSET ?",
            (
                *(asked.type, asked.type, asked.address, asked.address, asked.errors_only),
                *(asked.after, asked.after, asked.before, asked.before),
                *(asked.limit or -1, asked.skip),
            ),
        ).fetchall()

    def chain_verify(self) -> int | None:
        """Give the number of the first row that was changed, or None."""
        previous = ""
        for row in self.link.execute("SELECT * FROM record ORDER BY seq"):
            fields = {name: row[name] for name in COLUMNS}
            if row["previous"] != previous or row["hash"] != record_hash(fields):
                return int(row["seq"])
            previous = row["hash"]
        return None


def record_hash(row: dict[str, Any]) -> str:
    """Compute what a row's hash must be."""
    fields = [row[name].hex() if isinstance(row[name], bytes) else row[name] for name in COLUMNS]
    return hashlib.sha256(json.dumps(fields, separators=(",", ":")).encode()).hexdigest()
