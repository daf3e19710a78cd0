"""Moving many messages one step at once: `core.transitions.advance` for whole rounds, in one UPDATE.

A round of selection or a tipset moves hundreds of rows; one statement for all costs what three cost alone.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from django.db import connection

from apps.core.live import Change, publish_all
from apps.messages.states import TRANSITIONS, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

NOT_LANDED: Final[dict[str, object]] = {
    "height": 0,
    "tipset_key": "",
    "executed_key": "",
    "landed_cid": "",
    "exit_code": -1,
    "gas_used": 0,
    "gas_cost": 0,
    "return_data": b"",
    "landed_at": None,
    "wait": str(Wait.IN_POOL),
    "error": "",
}
"""Columns of a message that is in flight again, as if it had never landed or lost its nonce."""

COLUMN_TYPES: Final[dict[str, str]] = {
    "nonce": "bigint",
    "gas_limit": "bigint",
    "gas_fee_cap": "numeric",
    "gas_premium": "numeric",
    "signed": "bytea",
    "cid": "text",
    "unsigned_cid": "text",
    "filled_at": "timestamptz",
    "published_at": "timestamptz",
    "height": "bigint",
    "tipset_key": "text",
    "executed_key": "text",
    "landed_cid": "text",
    "exit_code": "integer",
    "gas_used": "bigint",
    "gas_cost": "numeric",
    "return_data": "bytea",
    "landed_at": "timestamptz",
    "wait": "text",
    "error": "text",
    "attempts": "integer",
    "retry_height": "bigint",
}
"""What may be written along with a step, by PostgreSQL type."""

PUSHED_ONE_BY_ONE: Final = 40
"""More changes of one tenant at once are told to its pages as one: they fetch their lists again."""


def messages_advance(
    event: str, rows: Mapping[str, Mapping[str, Any]], *, now: datetime
) -> dict[str, int | None]:
    """Take every message of `rows` (id to the data that comes with the event) one step; all have one shape.

    Only rows whose state knows the event move.  Gives the ids that moved with their tenants; a caller
    for whom a missing one matters rolls back.  Must run inside a transaction.
    """
    if not rows:
        return {}
    sources = [state for state, steps in TRANSITIONS.items() if event in steps]
    targets = {TRANSITIONS[state][event] for state in sources}
    if len(targets) != 1:
        raise ValueError(f"the event {event} leads to {sorted(targets)}: one state was expected")
    columns = list(next(iter(rows.values())))
    ids = list(rows)
    arrays = [[rows[pk][column] for pk in ids] for column in columns]
    sets = "".join(f", {column} = v.{column}" for column in columns)
    casts = "".join(f", %s::{COLUMN_TYPES[column]}[]" for column in columns)
    names = "".join(f", {column}" for column in columns)
    # Only names from COLUMN_TYPES and constants of this module are pasted into the statement.
    statement = (
        f"UPDATE messages_message AS m SET state = %s, updated_at = %s{sets}"  # noqa: S608
        f" FROM unnest(%s::text[]{casts}) AS v(id{names})"
        " WHERE m.id = v.id AND m.state = ANY(%s) RETURNING m.id, m.tenant_id"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [targets.pop(), now, ids, *arrays, sources])
        return dict(cursor.fetchall())


def publish_message_changes(tenants: Mapping[str, int | None] | Iterable[tuple[str, int | None]]) -> None:
    """Tell the pages of each tenant which of its messages changed; many at once as one change."""
    pairs = list(tenants.items()) if hasattr(tenants, "items") else list(tenants)
    many = {tenant for tenant, count in Counter(t for _, t in pairs).items() if count > PUSHED_ONE_BY_ONE}
    publish_all(
        [
            *(Change("message", pk, tenant) for pk, tenant in pairs if tenant not in many),
            *(Change("messages", "all", tenant) for tenant in many),
        ]
    )


def waits_record(rows: Sequence[tuple[str, str, str]], *, now: datetime) -> None:
    """Write why messages wait: (id, reason, text) each; rows that say so already are left alone."""
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messages_message AS m SET wait = v.wait, error = v.error, updated_at = %s"
            " FROM unnest(%s::text[], %s::text[], %s::text[]) AS v(id, wait, error)"
            " WHERE m.id = v.id AND m.state IN ('UNFILLED', 'FILLED')"
            " AND (m.wait, m.error) IS DISTINCT FROM (v.wait, v.error) RETURNING m.id, m.tenant_id",
            [now, [r[0] for r in rows], [r[1] for r in rows], [r[2][:2000] for r in rows]],
        )
        moved = dict(cursor.fetchall())
    publish_message_changes(moved)
