"""The chain on disk: one SQLite file, written so that a kill at any instant leaves a whole chain.

Head, tipset, state changes, receipts and messages of a new head are one transaction; states are kept as
changes against the parent with a snapshot now and then.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.store_rows import BlockRow, TipsetRow, TipsetWrite, changes_decode, changes_encode
from poolsite.filecoin.cbor import BadCbor, decode, encode

if TYPE_CHECKING:
    from poolsite.devnet.state.tables import Key

FORMAT: Final = 1
"""Version of the file's layout."""

# Tables with long values keep a rowid: SQLite puts a long row of a WITHOUT ROWID table into overflow pages.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks (
    cid BLOB PRIMARY KEY, height INTEGER NOT NULL, parents BLOB NOT NULL, header BLOB NOT NULL,
    bls BLOB NOT NULL, secpk BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS blocks_of_height ON blocks (height);
CREATE INDEX IF NOT EXISTS blocks_of_parents ON blocks (parents);
CREATE TABLE IF NOT EXISTS tipsets (
    key BLOB PRIMARY KEY, height INTEGER NOT NULL, parents BLOB NOT NULL, weight TEXT NOT NULL,
    root BLOB NOT NULL, receipts_root BLOB NOT NULL, next_base_fee TEXT NOT NULL,
    changes BLOB NOT NULL, receipts BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS tipsets_of_height ON tipsets (height);
CREATE TABLE IF NOT EXISTS messages (cid BLOB PRIMARY KEY, signed BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS inclusions (
    cid BLOB NOT NULL, tipset BLOB NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (cid, tipset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS senders (
    sender INTEGER NOT NULL, nonce INTEGER NOT NULL, cid BLOB NOT NULL,
    PRIMARY KEY (sender, nonce, cid)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshots (
    key BLOB PRIMARY KEY, height INTEGER NOT NULL, rows BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS objects (cid BLOB PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS transactions (hash BLOB PRIMARY KEY, cid BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pool (cid BLOB PRIMARY KEY, signed BLOB NOT NULL);
"""


SNAPSHOT_EVERY: Final = 200
"""Epochs between whole states; reading an old state applies fewer changes than that."""

DICTIONARY_BYTES: Final = 32_000
"""Most of a dictionary that zlib uses."""

PRUNE_DEPTH: Final = 6000
"""Epochs behind the head for which states can be read; older ones are forgotten, blocks and receipts stay."""

PRUNE_SPAN: Final = 20_000
"""Epochs that one pruning looks at."""


class StateGone(LookupError):
    """A state that is no longer kept."""


class BadStore(Exception):
    """A file that is no devnet's, or one of another version."""


class Store:
    """The file; methods may be called from any thread."""

    def __init__(self, path: Path | str, *, dictionary: bytes = b"") -> None:
        """Open or make the file.  Raises BadStore.

        `dictionary`: bytes that headers have much of, the same at every opening; they are not stored again.
        """
        self._dictionary = dictionary[-DICTIONARY_BYTES:]
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA busy_timeout=5000")
            self._db.executescript(SCHEMA)
            if self.meta("format") is None:
                self._meta_put("format", encode(FORMAT))
            elif decode(self.meta("format") or b"") != FORMAT:
                raise BadStore(f"{path} was written by another version of the devnet")
        except (sqlite3.DatabaseError, BadCbor) as error:
            self._db.close()
            raise BadStore(f"{path} is not a devnet file: {error}") from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def meta(self, name: str) -> bytes | None:
        """Return a named value."""
        row = self._one("SELECT value FROM meta WHERE name = ?", name)
        return None if row is None else row[0]

    def metas_put(self, values: dict[str, bytes]) -> None:
        """Set named values in one transaction."""
        with self._lock, self._transaction():
            for name, value in values.items():
                self._meta_put(name, value)

    def block_put(self, row: BlockRow, messages: Iterable[tuple[bytes, bytes]]) -> None:
        """Store a valid block and its messages (CID, signed CBOR)."""
        with self._lock, self._transaction():
            self._block_put(row, messages)

    def tipset_put(
        self,
        write: TipsetWrite,
        *,
        head: bool,
        block: tuple[BlockRow, list[tuple[bytes, bytes]]] | None = None,
    ) -> None:
        """Store an executed tipset, its newest block, and make it the head, all or nothing."""
        row = write.row
        with self._lock, self._transaction():
            if block is not None:
                self._block_put(*block)
            self._db.execute(
                "INSERT OR REPLACE INTO tipsets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row.key,
                    row.height,
                    row.parents,
                    str(row.weight),
                    row.root,
                    row.receipts_root,
                    str(row.next_base_fee),
                    zlib.compress(changes_encode(write.changes), 1),
                    zlib.compress(encode(write.receipts), 1),
                ),
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO inclusions VALUES (?, ?, ?)",
                [(cid, row.key, place) for place, cid in enumerate(write.inclusions)],
            )
            self._db.executemany("INSERT OR IGNORE INTO senders VALUES (?, ?, ?)", write.senders)
            self._db.executemany("INSERT OR IGNORE INTO objects VALUES (?, ?)", write.objects)
            if write.snapshot is not None:
                rows = zlib.compress(changes_encode(write.snapshot), 1)
                self._db.execute(
                    "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", (row.key, row.height, rows)
                )
            if head:
                self._meta_put("head", row.key)

    def head_put(self, key: bytes) -> None:
        """Make a stored tipset the head."""
        self.metas_put({"head": key})

    def block(self, cid: bytes) -> BlockRow | None:
        """Return a block by CID."""
        row = self._one("SELECT cid, height, parents, header, bls, secpk FROM blocks WHERE cid = ?", cid)
        return None if row is None else self._block_row(row)

    def blocks_beside(self, height: int, parents: bytes) -> list[BlockRow]:
        """All blocks of a height on the same parents."""
        rows = self._all(
            "SELECT cid, height, parents, header, bls, secpk FROM blocks WHERE height = ? AND parents = ?",
            height,
            parents,
        )
        return [self._block_row(row) for row in rows]

    def blocks_of_miner(self, height: int, parents: bytes) -> list[BlockRow]:
        """All blocks of a height or on these parents: where a miner's double blocks would be."""
        rows = self._all(
            "SELECT cid, height, parents, header, bls, secpk FROM blocks WHERE height = ? "
            "UNION SELECT cid, height, parents, header, bls, secpk FROM blocks WHERE parents = ?",
            height,
            parents,
        )
        return [self._block_row(row) for row in rows]

    def tipset(self, key: bytes) -> TipsetRow | None:
        """Return an executed tipset by key."""
        row = self._one(
            "SELECT key, height, parents, weight, root, receipts_root, next_base_fee "
            "FROM tipsets WHERE key = ?",
            key,
        )
        return None if row is None else _tipset_row(row)

    def chain_keys(self, key: bytes) -> Iterator[tuple[int, bytes]]:
        """(height, key) of a tipset and all its ancestors."""
        while key:
            row = self._one("SELECT height, parents FROM tipsets WHERE key = ?", key)
            if row is None:
                raise BadStore("a tipset of the chain is missing")
            yield row[0], key
            key = row[1]

    def changes(self, key: bytes) -> list[tuple[str, Key, bytes | None]]:
        """Return the rows that a tipset changed.  Raises StateGone."""
        row = self._one("SELECT changes, height FROM tipsets WHERE key = ?", key)
        if row is None:
            raise BadStore("a tipset of the chain is missing")
        if not row[0]:
            raise StateGone(f"the state of epoch {row[1]} is no longer kept")
        return changes_decode(zlib.decompress(row[0]))

    def snapshot(self, key: bytes) -> list[tuple[str, Key, bytes | None]] | None:
        """All rows of the state after a tipset, if they were kept."""
        row = self._one("SELECT rows FROM snapshots WHERE key = ?", key)
        return None if row is None else changes_decode(zlib.decompress(row[0]))

    def prune(self, height: int) -> None:
        """Forget the states below a height, but genesis."""
        least = max(height - PRUNE_SPAN, 1)
        with self._lock, self._transaction():
            self._db.execute(
                "UPDATE tipsets SET changes = x'' WHERE height >= ? AND height < ? AND changes != x''",
                (least, height),
            )
            self._db.execute("DELETE FROM snapshots WHERE height >= ? AND height < ?", (least, height))

    def receipts(self, key: bytes) -> list[bytes]:
        """Return the receipts of a tipset's messages, CBOR."""
        row = self._one("SELECT receipts FROM tipsets WHERE key = ?", key)
        return [] if row is None else decode(zlib.decompress(row[0]))

    def message(self, cid: bytes) -> bytes | None:
        """Return a signed message's CBOR by its CID on chain."""
        row = self._one("SELECT signed FROM messages WHERE cid = ?", cid)
        return None if row is None else row[0]

    def messages_put(self, messages: Iterable[tuple[bytes, bytes]]) -> None:
        """Store messages (CID, signed CBOR) apart from a block."""
        with self._lock, self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO messages VALUES (?, ?)", list(messages))

    def inclusions(self, cid: bytes) -> list[tuple[bytes, int]]:
        """(tipset key, place among its receipts) wherever a message was executed, in any branch."""
        return [
            (row[0], row[1]) for row in self._all("SELECT tipset, place FROM inclusions WHERE cid = ?", cid)
        ]

    def rivals(self, sender: int, nonce: int) -> list[bytes]:
        """CIDs of all executed messages of a sender with a nonce, in any branch."""
        rows = self._all("SELECT cid FROM senders WHERE sender = ? AND nonce = ?", sender, nonce)
        return [row[0] for row in rows]

    def transaction(self, name: bytes) -> bytes | None:
        """CID of the message that is an Ethereum transaction of this hash."""
        row = self._one("SELECT cid FROM transactions WHERE hash = ?", name)
        return None if row is None else row[0]

    def transactions_put(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep which message (CID) has which hash as an Ethereum transaction."""
        with self._lock, self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO transactions VALUES (?, ?)", rows)

    def object(self, cid: bytes) -> bytes | None:
        """Return a stored object by CID."""
        row = self._one("SELECT data FROM objects WHERE cid = ?", cid)
        return None if row is None else row[0]

    def pool(self) -> list[bytes]:
        """Return the pending messages that were kept, signed CBOR."""
        return [row[0] for row in self._all("SELECT signed FROM pool")]

    def pool_put(self, cid: bytes, signed: bytes) -> None:
        """Keep a pending message, and let everyone find it by CID."""
        with self._lock, self._transaction():
            self._db.execute("INSERT OR REPLACE INTO pool VALUES (?, ?)", (cid, signed))
            self._db.execute("INSERT OR IGNORE INTO messages VALUES (?, ?)", (cid, signed))

    def pool_remove(self, cids: Iterable[bytes]) -> None:
        """Forget pending messages."""
        with self._lock, self._transaction():
            self._db.executemany("DELETE FROM pool WHERE cid = ?", [(cid,) for cid in cids])

    def _block_put(self, row: BlockRow, messages: Iterable[tuple[bytes, bytes]]) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO blocks VALUES (?, ?, ?, ?, ?, ?)",
            (row.cid, row.height, row.parents, self._packed(row.header), row.bls, row.secpk),
        )
        self._db.executemany("INSERT OR IGNORE INTO messages VALUES (?, ?)", list(messages))

    def _packed(self, header: bytes) -> bytes:
        packer = zlib.compressobj(level=6, zdict=self._dictionary)
        return packer.compress(header) + packer.flush()

    def _block_row(self, row: tuple[Any, ...]) -> BlockRow:
        header = zlib.decompressobj(zdict=self._dictionary).decompress(row[3])
        return BlockRow(row[0], row[1], row[2], header, row[4], row[5])

    def _meta_put(self, name: str, value: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)

    def _one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        with self._lock:
            row: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
            return row

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


class _Transaction:
    """BEGIN IMMEDIATE to COMMIT; ROLLBACK on an error."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __enter__(self) -> None:
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self.db.execute("COMMIT" if kind is None else "ROLLBACK")


def _tipset_row(row: tuple[Any, ...]) -> TipsetRow:
    return TipsetRow(row[0], row[1], row[2], int(row[3]), row[4], row[5], int(row[6]))
