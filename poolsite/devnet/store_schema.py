"""The tables of a devnet's file."""

from __future__ import annotations

from typing import Final

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
