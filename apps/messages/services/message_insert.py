"""The statement that stores new messages: its columns, and what every new message has in the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import connection

from apps.core.prepared_statements import Plan, Prepared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.messages.models import Message

INSERTED: Final[dict[str, str]] = {
    "id": "text",
    "push_id": "text",
    "tenant_id": "bigint",
    "pushed_by": "text",
    "people": "text",
    "needs_approval": "boolean",
    "kind": "text",
    "state": "text",
    "priority": "smallint",
    "time_sensitive": "boolean",
    "urgent_epoch": "bigint",
    "to": "text",
    "from_addr": "text",
    "value": "numeric",
    "method": "bigint",
    "params": "bytea",
    "gas_limit": "bigint",
    "gas_fee_cap": "numeric",
    "gas_premium": "numeric",
    "max_fee": "numeric",
    "gas_over_estimation": "float8",
    "gas_over_premium": "float8",
    "expire_epoch": "bigint",
    "hold_base_fee": "numeric",
    "hold_until": "bigint",
    "pushed_height": "bigint",
    "wait": "text",
    "error": "text",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}
"""Columns that differ between new messages, by PostgreSQL type."""

FIRST_VALUES: Final[dict[str, str]] = {
    "signed": "''",
    "cid": "''",
    "unsigned_cid": "''",
    "height": "0",
    "tipset_key": "''",
    "executed_key": "''",
    "landed_cid": "''",
    "exit_code": "-1",
    "gas_used": "0",
    "gas_cost": "0",
    "return_data": "''",
    "attempts": "0",
    "retry_height": "0",
    "fee_bumped_height": "0",
}
"""What every new message has in the other columns."""

UNKNOWN: Final = (
    "NOT EXISTS (SELECT FROM messages_message m WHERE m.id = v.id OFFSET 0)"
    " AND NOT EXISTS (SELECT FROM messages_message m WHERE m.push_id = v.push_id"
    " AND m.tenant_id IS NOT DISTINCT FROM v.tenant_id OFFSET 0)"
)
"""Condition for a new message: no unique index spans the table and its archive, but this query does.
Without the offset the planner might read a whole table instead of an index for each message."""


def _insert_text() -> str:
    """Write the statement that stores new messages; only names and constants of this module are pasted."""
    names = ", ".join(f'"{name}"' for name in (*INSERTED, *FIRST_VALUES))
    values = ", ".join((*(f'v."{name}"' for name in INSERTED), *FIRST_VALUES.values()))
    arrays = ", ".join(f"${place}" for place in range(1, len(INSERTED) + 1))
    columns = ", ".join(f'"{name}"' for name in INSERTED)
    return (
        f"INSERT INTO messages_message ({names}) SELECT {values}"  # noqa: S608
        f" FROM unnest({arrays}) AS v({columns}) WHERE {UNKNOWN} ON CONFLICT DO NOTHING RETURNING id"
    )


# Planned anew: a plan of the days when the table fitted on a page would read all of it for each message.
INSERT: Final = Prepared(
    "messages_push", _insert_text(), [f"{kind}[]" for kind in INSERTED.values()], plan=Plan.ANEW
)


def messages_insert(rows: Sequence[Message]) -> set[str]:
    """Write new rows in one statement; returns the keys of those that were not there yet."""
    data: list[list[Any]] = [[getattr(row, name) for row in rows] for name in INSERTED]
    new = {pk for (pk,) in INSERT.rows(data)}
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias
    return new
