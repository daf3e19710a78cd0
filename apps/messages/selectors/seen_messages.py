"""Reading many messages for many callers in one query, each beside the newest head's height."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import connection

from apps.chain.models import Follower, Head
from apps.core.errors import DomainError
from apps.core.prepared_statements import Prepared
from apps.messages.errors import MessageIdAmbiguous, MessageNotFound
from apps.messages.models import Message
from apps.messages.selectors.messages import message_meant
from apps.users.models import Tenant
from apps.users.rules.principals import Principal

COLUMNS: Final = tuple(Message._meta.concrete_fields)
CONVERTED: Final = tuple(
    (place, column.from_db_value) for place, column in enumerate(COLUMNS) if hasattr(column, "from_db_value")
)
"""Places of the columns that do not come out of the database as they are in a row."""


def _seen_text(condition: str) -> str:
    """Write the question for messages with their tenants' names and the newest head's height."""
    names = ", ".join(f'm."{column.column}"' for column in COLUMNS)
    # Only names of tables and columns are pasted into the statement.
    return (
        f"SELECT {names}, t.name, (SELECT h.height"  # noqa: S608
        f" FROM {Head._meta.db_table} h JOIN {Follower._meta.db_table} f ON f.head_id = h.id"
        " ORDER BY f.id LIMIT 1)"
        f" FROM {Message._meta.db_table} m LEFT JOIN {Tenant._meta.db_table} t ON t.id = m.tenant_id"
        f" WHERE m.push_id {condition} OR m.id {condition}"
    )


SEEN_ONE: Final = Prepared("message_seen", _seen_text("= $1"), ["text"])
SEEN: Final = Prepared("messages_seen", _seen_text("= ANY($1)"), ["text[]"])
"""For several; the planner takes a list for long, and plans anew each time."""


def messages_seen(requests: Sequence[tuple[Principal, str]]) -> list[tuple[Message, int] | DomainError]:
    """Return what `message_get` would give each of many callers, or raise, with one query for all of them.

    Beside each message stands the height of the newest head, 0 before the first one.
    """
    ids = [id_ for _, id_ in requests]
    lines = [_seen(line) for line in (SEEN_ONE.rows(ids) if len(ids) == 1 else SEEN.rows([ids]))]
    by_id: dict[str, dict[str, tuple[Message, int]]] = {}
    for line in lines:
        for name in {line[0].push_id, line[0].pk}:
            by_id.setdefault(name, {})[line[0].pk] = line
    return [_seen_by(viewer, id_, by_id.get(id_, {})) for viewer, id_ in requests]


def _seen_by(
    viewer: Principal, id_: str, lines: dict[str, tuple[Message, int]]
) -> tuple[Message, int] | DomainError:
    try:
        row = message_meant(
            viewer, id_, [row for row, _ in lines.values() if message_is_visible(viewer, row)]
        )
    except MessageIdAmbiguous as error:
        return error
    return MessageNotFound() if row is None else lines[row.pk]


def message_is_visible(viewer: Principal, row: Message) -> bool:
    """Return of one message what `messages_visible` returns of all."""
    is_own = viewer.is_operator or row.tenant_id == viewer.own_id
    return is_own and viewer.may_sign_with(row.from_addr) and viewer.may_address(row.to)


def _seen(line: tuple[Any, ...]) -> tuple[Message, int]:
    """Make one line of the answer the row that Django would; its tenant has only a name."""
    *values, tenant_name, height = line
    for place, convert in CONVERTED:
        values[place] = convert(values[place], None, connection)
    row = Message.from_db(connection.alias, [column.attname for column in COLUMNS], values)
    if row.tenant_id is not None:
        row.tenant = Tenant(pk=row.tenant_id, name=tenant_name)
    return row, height or 0
