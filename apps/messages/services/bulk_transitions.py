"""Many messages at once: their steps, their waits, and telling pages of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db import connection

from apps.core.live import Change, publish_all
from apps.core.reasons import Reason, coded
from apps.core.transitions import advance_many
from apps.messages.models import Message
from apps.messages.states import Wait
from poolsite.tracing import span
from poolsite.tracing.subjects import of_messages

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

ERROR: Final[Any] = Message._meta.get_field("error")
CODED: Final[Any] = Message._meta.get_field("error_coded")

PUSHED_ONE_BY_ONE: Final = 40
"""More changes of one tenant at once are published to its pages as one: they fetch their lists again."""


def messages_advance(
    event: str, *, rows: Mapping[str, Mapping[str, Any]], now: datetime
) -> dict[str, int | None]:
    """Move every message of `rows` (id to the data that comes with the event) one step: `advance_many`.

    Returns the ids that moved with their tenants.
    """
    with span(f"message {event}", about=of_messages(rows)):
        return advance_many(Message, event, rows, returning="tenant", updated_at=now)


def message_changes_publish(tenants: Mapping[str, int | None] | Iterable[tuple[str, int | None]]) -> None:
    """Publish to the pages of each tenant which of its messages changed; many at once as one change."""
    pairs = list(tenants.items()) if hasattr(tenants, "items") else list(tenants)
    many = {tenant for tenant, count in Counter(t for _, t in pairs).items() if count > PUSHED_ONE_BY_ONE}
    publish_all(
        [
            *(Change("message", pk, tenant) for pk, tenant in pairs if tenant not in many),
            *(Change("messages", "all", tenant) for tenant in many),
        ]
    )


def waits_record(rows: Sequence[tuple[str, str, Reason | str]], *, now: datetime) -> None:
    """Write why messages wait: (id, reason, text) each; rows that say so already are left alone.

    So are those that somebody is moving at this moment: a landing and this would wait for each other's rows.
    """
    if not rows:
        return
    texts = [str(text)[: ERROR.max_length] for _, _, text in rows]
    codes = [
        CODED.get_db_prep_save(coded(row[2], column_text=text), connection)
        for row, text in zip(rows, texts, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH free AS (SELECT m.id, v.* FROM messages_message AS m"
            " JOIN unnest(%s::text[], %s::text[], %s::text[], %s::jsonb[]) AS v(key, wait, error, coded)"
            " ON m.id = v.key WHERE m.state IN ('UNFILLED', 'FILLED')"
            " AND (m.wait, m.error, m.error_coded) IS DISTINCT FROM (v.wait, v.error, v.coded)"
            " FOR NO KEY UPDATE OF m SKIP LOCKED)"
            " UPDATE messages_message AS m SET wait = free.wait, error = free.error,"
            " error_coded = free.coded, updated_at = %s"
            " FROM free WHERE m.id = free.id RETURNING m.id, m.tenant_id",
            [[r[0] for r in rows], [r[1] for r in rows], texts, codes, now],
        )
        moved = dict(cursor.fetchall())
    message_changes_publish(moved)
