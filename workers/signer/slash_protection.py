"""Which blocks were signed: a miner gets no second one at a height, and none at another on the same parents.

Two headers of one miner at one epoch (double fork), or at two epochs on the same parents (time offset), are a
consensus fault: whoever reports both makes the miner pay and bars it for a finality.  The headers alone
count, no chain need have taken them: so does all that was signed, whatever it was for and by whichever key.
The third fault, parent grinding (parents that hold a sibling of the miner's own block, but not that block),
cannot be seen here: a header names its parents by CID, which tells neither their epoch nor their parents.

Rows are never dropped.  Each lies beside a record several times its size; and who drops old ones must refuse
whatever is below them, a line that one header of a far future would carry past the whole chain.
Source: lotus chain/vm/fvm.go VerifyConsensusFault, chain/gen/slashfilter/slashfilter.go.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from typing import Final

from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import from_cbor
from workers.signer.errors import AlreadySigned

SCHEMA: Final = (
    """
CREATE TABLE signed_block (
    miner TEXT NOT NULL,
    era INTEGER NOT NULL,
    height INTEGER NOT NULL,
    parents BLOB NOT NULL,
    header TEXT NOT NULL,
    at TEXT NOT NULL,
    UNIQUE (miner, era, height),
    UNIQUE (miner, era, parents)
)""",
    """
CREATE TABLE height_mark (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    miner TEXT NOT NULL,
    closed INTEGER,
    by TEXT NOT NULL,
    at TEXT NOT NULL
)""",
    *(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
        " BEGIN SELECT RAISE(ABORT, 'heights are append-only'); END"
        for table in ("signed_block", "height_mark")
        for verb in ("UPDATE", "DELETE")
    ),
)
"""What was signed, and what people did about it: `closed` is the last height at which nothing is to be
signed, as the miner's newest row has it; where it is null, an era begins: nothing before it counts."""


def heights_prepare(link: sqlite3.Connection) -> None:
    """Make the tables; what an older signer signed is taken from its records, the first of a height."""
    if _is_prepared(link):
        return
    link.execute("BEGIN IMMEDIATE")
    try:
        if not _is_prepared(link):  # another process was faster
            for statement in SCHEMA:
                link.execute(statement)
            rows = link.execute("SELECT raw, at FROM record WHERE type = 'block' AND error = '' ORDER BY seq")
            for raw, at in rows.fetchall():
                _adopt(link, raw, at)
    except BaseException:
        link.execute("ROLLBACK")
        raise
    link.execute("COMMIT")


def _is_prepared(link: sqlite3.Connection) -> bool:
    return link.execute("SELECT 1 FROM sqlite_master WHERE name = 'height_mark'").fetchone() is not None


def _adopt(link: sqlite3.Connection, raw: bytes, at: str) -> None:
    with contextlib.suppress(BadCbor, AlreadySigned):  # a signer that read headers otherwise, or did not look
        height_claim(link, from_cbor(BlockHeader, raw), at=at)


def header_cid(header: BlockHeader) -> str:
    """Return the identity of a header by what is signed of it, without a signature that is there already."""
    return str(cid_of_cbor(header.signing_bytes))


def height_claim(link: sqlite3.Connection, header: BlockHeader, *, at: str) -> None:
    """Claim a height for a header, for good, inside the caller's transaction; the same again changes nothing.

    Raises AlreadySigned if another header is there.
    """
    if refusal := height_refusal(link, header):
        raise AlreadySigned(refusal)
    miner, cid = str(header.miner), header_cid(header)
    values = (miner, _era_begin(link, miner), header.height, _parents(header), cid, at)
    link.execute(
        "INSERT INTO signed_block SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS"
        " (SELECT 1 FROM signed_block WHERE miner = ?1 AND era = ?2 AND height = ?3 AND header = ?5)",
        values,
    )


def height_refusal(link: sqlite3.Connection, header: BlockHeader) -> str:
    """Return why signing the header would be a fault, or who closed its height; empty if it may be signed."""
    miner, cid = str(header.miner), header_cid(header)
    era = _era_begin(link, miner)
    where = {"miner": miner, "era": era, "height": header.height, "parents": _parents(header)}
    rows = link.execute(
        "SELECT height, header, at FROM signed_block WHERE miner = :miner AND era = :era"
        " AND (height = :height OR parents = :parents) ORDER BY height = :height DESC",
        where,
    ).fetchall()
    for height, other, at in rows:
        if other == cid:
            return ""
        if height == header.height:
            return f"double-fork fault: {miner} has a block at height {height}: {other}, signed {at[:19]}"
        return (
            f"time-offset fault at height {header.height}: {miner} has a block on these parents at height"
            f" {height}: {other}, signed {at[:19]}"
        )
    mark = link.execute(
        "SELECT closed, by, at FROM height_mark WHERE miner = ? AND seq > ? ORDER BY seq DESC LIMIT 1",
        (miner, era),
    ).fetchone()
    if mark is None or header.height > mark[0]:
        return ""
    return f"{miner} must not sign blocks up to height {mark[0]}: closed by {mark[1]} at {mark[2][:19]}"


def _era_begin(link: sqlite3.Connection, miner: str) -> int:
    """Return the number of what began the miner's era; 0 before anything did."""
    row = link.execute(
        "SELECT MAX(seq) FROM height_mark WHERE miner = ? AND closed IS NULL", (miner,)
    ).fetchone()
    return int(row[0] or 0)


def _parents(header: BlockHeader) -> bytes:
    """Name a tipset; its blocks in another order are the same parents, as in lotus' CidArrsEqual."""
    return hashlib.sha256(b"".join(sorted({cid.data for cid in header.parents}))).digest()


def height_mark(link: sqlite3.Connection, miner: str, *, closed: int | None, by: str, at: str) -> None:
    """Close a miner's heights up to one, or (None) forget what it signed; inside the caller's transaction."""
    values = (miner, closed, by, at)
    link.execute("INSERT INTO height_mark (miner, closed, by, at) VALUES (?, ?, ?, ?)", values)


def heights_signed(link: sqlite3.Connection, *, miner: str = "", limit: int = -1) -> list[sqlite3.Row]:
    """List the signed blocks that count, the latest heights first."""
    return link.execute(
        "SELECT miner, height, header, at FROM signed_block AS one WHERE (?1 = '' OR miner = ?1) AND era ="
        " (SELECT COALESCE(MAX(seq), 0) FROM height_mark WHERE miner = one.miner AND closed IS NULL)"
        " ORDER BY height DESC, miner LIMIT ?2",
        (miner, limit),
    ).fetchall()
