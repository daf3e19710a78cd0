"""The tables of the signer's records."""

from __future__ import annotations

from typing import Final

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
    hash TEXT NOT NULL,
    rule_set TEXT NOT NULL DEFAULT '',
    digest TEXT NOT NULL DEFAULT '',
    pool TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    account TEXT NOT NULL DEFAULT '',
    kind TEXT NOT NULL DEFAULT '',
    selection TEXT NOT NULL DEFAULT '',
    step TEXT NOT NULL DEFAULT '',
    dead TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS record_spent ON record (rule, address, day) WHERE error = '';
CREATE INDEX IF NOT EXISTS record_same ON record (rule, address, day, digest) WHERE error = '';
CREATE INDEX IF NOT EXISTS record_message ON record (message, pool, account, address, seq)
    WHERE error = '' AND message != '';
CREATE INDEX IF NOT EXISTS record_cid ON record (cid, pool, seq) WHERE error = '' AND message != '';
CREATE TRIGGER IF NOT EXISTS record_no_update BEFORE UPDATE ON record
    BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER IF NOT EXISTS record_no_delete BEFORE DELETE ON record
    BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
"""

ADDED: Final = ("rule_set", "digest")
"""Columns that files of an older signer lack; their rows are hashed without them."""
SPENT: Final = """
SELECT COALESCE(MAX(seq), 0), COALESCE(SUM(value_nano >> 32), 0), COALESCE(SUM(value_nano & 4294967295), 0),
    COALESCE(SUM(fee_nano >> 32), 0), COALESCE(SUM(fee_nano & 4294967295), 0)
FROM record AS one
WHERE rule = :rule AND address = :address AND day = :day AND error = '' AND seq > :seq AND (digest = ''
    OR NOT EXISTS (SELECT 1 FROM record INDEXED BY record_same WHERE rule = :rule AND address = :address
        AND day = :day AND error = '' AND digest = one.digest AND seq < one.seq))
"""
"""What was spent since a row, each request once; in halves, as SQLite refuses a sum above 64 bits."""

COLUMNS: Final = (
    "id", "at", "day", "type", "address", "caller", "words", "cid", "target", "value", "value_nano",
    "fee_nano", "rule", "policy", "error", "raw", "previous",
)  # fmt: skip
