"""What was signed and what was refused: an append-only SQLite file, each row chained to the one before.

Only old draws and votes are ever removed (`records_pruning.py`).

A signed block takes its height in the same transaction (`heights.py`), which is on disk before it is over.

The signer's own log is the truth; the console keeps a copy of its own requests.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workers.signer.origins import ORIGIN_COLUMNS, origin_columns
from workers.signer.records_schema import ADDED, COLUMNS, NONCE, OF_GROUP, PREMIUM, SCHEMA, SPENT
from workers.signer.sign_request import BLOCK, Amounts, SignRequest
from workers.signer.slash_protection import height_claim, height_mark, heights_prepare

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.wire.origins import Origin

NANO: Final = 10**9
"""attoFIL in a nanoFIL; sums of a day are kept in these, rounded up, as SQLite's integers have 64 bits."""

SUMS_MAX: Final = 1000
BY_HAND: Final = "(by hand)"
"""In the place of a rule: a person at the signer's machine decided."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy said."""

    rule: str
    """Name of the rule that decided; empty if none fits."""
    policy: str
    """Digest of the policy file."""
    error: str = ""
    """Why not; empty if it may be signed."""
    misfit: str = ""
    """What kept the rule that came nearest from fitting; empty if one fits."""


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


@dataclass(slots=True)
class Spent:
    """What a rule let a key spend on a day, up to a row: a signature reads only the rows since."""

    seq: int = 0
    nano: Amounts = field(default_factory=Amounts)


class Records:
    """The file.  One thread uses it."""

    def __init__(self, path: Path) -> None:
        self.sums: dict[tuple[str, str, str], Spent] = {}
        """By rule, key and day."""
        try:
            self.open(path)
        except sqlite3.DatabaseError as error:
            raise type(error)(f"{path}: {error}") from None

    def open(self, path: Path) -> None:
        """Open the file, or make it; bring an older one up to date.  Raises sqlite3.DatabaseError."""
        self.link = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        path.chmod(0o600)
        self.link.row_factory = sqlite3.Row
        self.link.execute("PRAGMA journal_mode=WAL")
        self.link.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; a power cut may cost the last rows
        self.link.execute("PRAGMA busy_timeout=5000")
        self.columns_add()
        self.link.executescript(SCHEMA)
        heights_prepare(self.link)

    def columns_add(self) -> None:
        """Bring the file of an older signer up to date."""
        self.link.execute("BEGIN IMMEDIATE")
        known = {row["name"] for row in self.link.execute("PRAGMA table_info(record)")}
        for name in (*ADDED, *ORIGIN_COLUMNS, *NONCE):
            if known and name not in known:
                self.link.execute(f"ALTER TABLE record ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")
        for name in PREMIUM:
            if known and name not in known:
                self.link.execute(f"ALTER TABLE record ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0")
        self.link.execute("COMMIT")

    def old_index_drop(self) -> None:
        """Drop an index that only older signers use; one that still runs signs nothing without it."""
        self.link.execute("DROP INDEX IF EXISTS record_same")

    def close(self) -> None:
        """Close the file."""
        self.link.close()

    @contextlib.contextmanager
    def transaction(self, *, is_durable: bool) -> Iterator[None]:
        """Write as a whole or not at all; what is durable outlives a power cut, which takes the disk 2 ms."""
        self.link.execute(f"PRAGMA synchronous={'FULL' if is_durable else 'NORMAL'}")
        self.link.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.link.execute("COMMIT")
        except BaseException:
            if self.link.in_transaction:
                self.link.execute("ROLLBACK")
            raise

    def write(
        self,
        request: SignRequest,
        verdict: Verdict,
        *,
        caller: str,
        now: datetime,
        rule_set: str = "",
        origin: Origin | None = None,
    ) -> str:
        """Add one row and give its id; a block that is signed takes its height with it.

        Raises AlreadySigned if the miner has another block there: then nothing was written.
        """
        header = None if verdict.error else request.header
        with self.transaction(is_durable=header is not None):
            if header is not None:
                height_claim(self.link, header, at=now.astimezone(UTC).isoformat())
            return self._row_add(request, verdict, caller=caller, now=now, rule_set=rule_set, origin=origin)

    def mark(self, miner: Address, *, closed: int | None, by: str, now: datetime) -> None:
        """Close a miner's heights up to one, or (None) forget what it signed; a record says by whom."""
        deed = "signed blocks forgotten" if closed is None else f"closed up to height {closed}"
        request = SignRequest(BLOCK, miner, b"", about=f"{miner} {deed} by {by}")
        with self.transaction(is_durable=True):
            self._row_add(request, Verdict(BY_HAND, ""), caller=f"command line {by}", now=now)
            height_mark(self.link, str(miner), closed=closed, by=by, at=now.astimezone(UTC).isoformat())

    def _row_add(
        self,
        request: SignRequest,
        verdict: Verdict,
        *,
        caller: str,
        now: datetime,
        rule_set: str = "",
        origin: Origin | None = None,
    ) -> str:
        row: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "at": now.astimezone(UTC).isoformat(),
            "day": now.astimezone(UTC).date().isoformat(),
            "type": request.type,
            "address": str(request.address),
            "caller": caller[:200],
            "words": request.description[:500],
            "cid": request.cid,
            "target": str(request.to) if request.to is not None else "",
            "value": str(request.value),
            "value_nano": nano(request.value),
            "fee_nano": nano(request.fee_max),
            "rule": verdict.rule,
            "policy": verdict.policy,
            "error": verdict.error[:500],
            "raw": request.raw,
            "rule_set": rule_set,
            "digest": request.digest,
            **origin_columns(origin),
            "nonce": "" if request.nonce is None else str(request.nonce),
            "premium_nano": nano(request.premium_max),
        }
        last = self.link.execute("SELECT hash FROM record ORDER BY seq DESC LIMIT 1").fetchone()
        row["previous"] = last["hash"] if last is not None else ""
        columns = (*COLUMNS, *ADDED, *ORIGIN_COLUMNS, *NONCE, *PREMIUM)
        names = ", ".join((*columns, "hash"))
        marks = ", ".join("?" for _ in range(len(columns) + 1))
        values = [*(row[name] for name in columns), record_hash(row)]
        self.link.execute(f"INSERT INTO record ({names}) VALUES ({marks})", values)  # noqa: S608  # our names
        return str(row["id"])

    def spent(self, *, rule: str, address: str, day: str, but: SignRequest | None = None) -> Amounts:
        """Return what a rule let this key spend on a day (UTC), rounded up.

        A request counts once, however often it was signed: a gateway may ask twice for the same.  So do
        messages with one nonce, of which only one can land: with the most that one of them moves and costs.
        What `but` takes up of that is left out: who asks for it again wants no more than was given.
        """
        if len(self.sums) >= SUMS_MAX:
            self.sums.clear()
        known = self.sums.setdefault((rule, address, day), Spent())
        where = {"rule": rule, "address": address, "day": day, "seq": known.seq}
        row = self.link.execute(SPENT, where).fetchone()
        known.seq = max(known.seq, row[0])
        halves = zip(known.nano, row[1::2], row[2::2], strict=True)
        known.nano = Amounts(*(before + (high << 32) + low for before, high, low in halves))
        own = Amounts()
        if but is not None:
            most = self.link.execute(f"{OF_GROUP} :group", {**where, "group": but.group}).fetchone()
            own = Amounts(*map(min, most, map(nano, but.amounts)))
        return Amounts(*((all_of - part) * NANO for all_of, part in zip(known.nano, own, strict=True)))

    def query(self, request: RecordQuery) -> list[sqlite3.Row]:
        """Return records, newest first; an id alone decides when it is given."""
        if request.id:
            return self.link.execute("SELECT * FROM record WHERE id = ?", (request.id,)).fetchall()
        return self.link.execute(
            "SELECT * FROM record WHERE (? = '' OR type = ?) AND (? = '' OR address = ?)"
            " AND (NOT ? OR error != '') AND (? = '' OR at > ?) AND (? = '' OR at < ?)"
            " ORDER BY seq DESC LIMIT ? OFFSET ?",
            (
                *(request.type, request.type, request.address, request.address, request.errors_only),
                *(request.after, request.after, request.before, request.before),
                *(request.limit or -1, request.skip),
            ),
        ).fetchall()

    def nonce_cids(self, request: SignRequest) -> list[str]:
        """Return the CIDs of other messages that were signed with a message's key and nonce, oldest first."""
        rows = self.link.execute(
            "SELECT DISTINCT cid FROM record WHERE address = ? AND nonce = ? AND error = '' AND cid != ?"
            " ORDER BY seq",
            (str(request.address), str(request.nonce), request.cid),
        )
        return [row["cid"] for row in rows]

    def chain_verify(self) -> int | None:
        """Return the number of the first row that was changed, or None."""
        self.link.execute("BEGIN")  # one state of the file, of which rows may be removed meanwhile
        try:
            return self._changed_row()
        finally:
            self.link.execute("COMMIT")

    def _changed_row(self) -> int | None:
        previous = ""
        pruned = {row["previous"]: row["hash"] for row in self.link.execute("SELECT * FROM pruned")}
        for row in self.link.execute("SELECT * FROM record ORDER BY seq"):
            while row["previous"] != previous and previous in pruned:
                previous = pruned.pop(previous)
            fields = {name: row[name] for name in (*COLUMNS, *ADDED, *ORIGIN_COLUMNS, *NONCE, *PREMIUM)}
            if row["previous"] != previous or row["hash"] != record_hash(fields):
                return int(row["seq"])
            previous = row["hash"]
        return None


def nano(amount: int) -> int:
    """Return attoFIL in nanoFIL, rounded up."""
    return -(-amount // NANO)


def record_hash(row: dict[str, Any]) -> str:
    """Compute what a row's hash must be; those of an older signer lack some columns."""
    columns = (*COLUMNS, *ADDED) if row["digest"] else COLUMNS
    if any(row[name] for name in ORIGIN_COLUMNS):
        columns = (*columns, *ORIGIN_COLUMNS)
    if row["nonce"]:
        columns = (*columns, *NONCE)
    if row["premium_nano"]:
        columns = (*columns, *PREMIUM)
    fields = [row[name].hex() if isinstance(row[name], bytes) else row[name] for name in columns]
    return hashlib.sha256(json.dumps(fields, separators=(",", ":")).encode()).hexdigest()
