"""The tables of the signer's records."""

from __future__ import annotations

from typing import Final

from workers.signer.sign_request import DRAW_RANDOM, FINALITY

GROUP: Final = "COALESCE('nonce ' || NULLIF(nonce, ''), NULLIF(digest, ''), id)"
"""What the sums of a day count once; rows of an older signer lack the nonce, or the digest, too."""
PRUNABLE: Final = f"type IN ('{DRAW_RANDOM}', '{FINALITY}') AND error = '' AND message = ''"
"""What may be removed once it is old: signed draws and votes."""
SCHEMA: Final = f"""
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
    dead TEXT NOT NULL DEFAULT '',
    nonce TEXT NOT NULL DEFAULT '',
    premium_nano INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS record_spent ON record (rule, address, day) WHERE error = '';
CREATE INDEX IF NOT EXISTS record_group ON record (rule, address, day, {GROUP}) WHERE error = '';
CREATE INDEX IF NOT EXISTS record_message ON record (message, pool, account, address, seq)
    WHERE error = '' AND message != '';
CREATE INDEX IF NOT EXISTS record_cid ON record (cid, pool, seq) WHERE error = '' AND message != '';
CREATE TRIGGER IF NOT EXISTS record_no_update BEFORE UPDATE ON record
    BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TABLE IF NOT EXISTS pruned (
    last INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS record_no_loss BEFORE DELETE ON record
    WHEN NOT EXISTS (SELECT 1 FROM pruned WHERE last >= OLD.seq AND first <= OLD.seq)
    OR NOT EXISTS (SELECT 1 FROM record WHERE seq = OLD.seq AND {PRUNABLE})
    BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
"""  # noqa: S608  # our names
"""A row of `pruned` is a run of removed ones: what its first was chained to, and the hash of its last."""

ADDED: Final = ("rule_set", "digest")
"""Columns that files of an older signer lack; their rows are hashed without them."""
NONCE: Final = ("nonce",)
"""Of messages; rows without are hashed without it."""
PREMIUM: Final = ("premium_nano",)
"""A number; rows without are hashed without it: those of an older signer count none."""
SUMMED: Final = ("value_nano", "fee_nano", "premium_nano")
"""What the sums of a day add up."""
OF_DAY: Final = "rule = :rule AND address = :address AND day = :day AND error = ''"
OF_GROUP: Final = f"""
SELECT {", ".join(f"COALESCE(MAX({name}), 0) AS {name}" for name in SUMMED)}
FROM record INDEXED BY record_group WHERE {OF_DAY} AND {GROUP} =
"""  # noqa: S608  # our names
"""The most that a request of one group moves and costs."""
GROWTHS: Final = ", ".join(
    f"MAX({name} - (SELECT {name} FROM ({OF_GROUP} name AND seq <= :seq)), 0) AS {name}"  # noqa: S608  # our names
    for name in SUMMED
)
HALVES: Final = ", ".join(
    f"COALESCE(SUM({name} >> 32), 0), COALESCE(SUM({name} & 4294967295), 0)" for name in SUMMED
)
SPENT: Final = f"""
WITH since AS (
    SELECT MAX(seq) AS seq, {GROUP} AS name, {", ".join(f"MAX({name}) AS {name}" for name in SUMMED)}
    FROM record INDEXED BY record_spent WHERE {OF_DAY} AND seq > :seq GROUP BY name
), grown AS (
    SELECT seq, {GROWTHS} FROM since
)
SELECT COALESCE(MAX(seq), 0), {HALVES} FROM grown
"""  # noqa: S608  # our names
"""What was spent since a row, each group once; in halves, as SQLite refuses a sum above 64 bits."""

COLUMNS: Final = (
    "id", "at", "day", "type", "address", "caller", "words", "cid", "target", "value", "value_nano",
    "fee_nano", "rule", "policy", "error", "raw", "previous",
)  # fmt: skip
