"""Many rows, copied in the database from one real row: nothing is invented but their number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LANDED: Final = {
    "id": "'seed-' || n",
    "push_id": "'seed-' || n",
    "nonce": "1000000 + n",
    "from_addr": "'f0' || 9000 + n % 50",
    "state": "case when n % 50 = 0 then 'FAILED' else 'LANDED' end",
    "height": "1",
    "executed_key": "''",
    "cid": "''",
    "unsigned_cid": "''",
    "landed_cid": "''",
    "created_at": "now() - n * interval '1 second'",
    "updated_at": "now() - n * interval '1 second'",
}
"""Columns of a landed message's copies, as SQL over the series `n`: fifty senders, one in fifty failed."""

SECTOR_NUMBERS: Final = 100_000
"""Sector numbers of copies begin here."""


def row_copies_insert(cursor: Any, table: str, *, of: str, changed: Mapping[str, str], rows: str) -> None:
    """Insert a copy of the row `of` for each of `rows`, a series `n`; `changed` are SQL expressions."""
    cursor.execute(
        "select column_name from information_schema.columns where table_name = %s"
        " and is_identity = 'NO' and coalesce(column_default, '') not like 'nextval%%'"
        " order by ordinal_position",
        [table],
    )
    columns = [str(name) for (name,) in cursor.fetchall()]
    values = [changed.get(name, f'one."{name}"') for name in columns]
    listed = ", ".join(f'"{name}"' for name in columns)
    cursor.execute(
        f"insert into {table} ({listed}) select {', '.join(values)} from {table} one, {rows} where one.{of}"
    )


def message_copies_insert(cursor: Any, *, of: str, first: int, last: int) -> None:
    """Copy a message: landed ones of fifty senders, and one in fifty failed."""
    series = f"generate_series({first}, {last}) n"
    row_copies_insert(cursor, "messages_message", of=of, changed=LANDED, rows=series)


def sector_copies_insert(cursor: Any, *, of: str, first: int, last: int) -> None:
    """Copy a sector with its job; the chain does not know the copies: they are not active."""
    number = f"{SECTOR_NUMBERS} + n"
    sector = {"uuid": "gen_random_uuid()", "number": number, "active": "false"}
    row_copies_insert(
        cursor, "sectors_sector", of=of, changed=sector, rows=f"generate_series({first}, {last}) n"
    )
    job = {"uuid": "gen_random_uuid()", "sector_id": "n"}
    low, high = SECTOR_NUMBERS + first, SECTOR_NUMBERS + last
    copied = f"(select id as n from sectors_sector where number between {low} and {high}) s"
    row_copies_insert(
        cursor,
        "sectors_job",
        of=f"sector_id = (select min(id) from sectors_sector where {of})",
        changed=job,
        rows=copied,
    )
