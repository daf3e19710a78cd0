"""What the database reads for a query: counted in blocks, which do not depend on how busy the machine is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def blocks_of(
    queries: Iterable[Mapping[str, str]], *, about: str = "", known: dict[str, int] | None = None
) -> dict[str, int]:
    """Return the blocks of 8 KiB that each captured SELECT touches, of those that name `about`.

    `known` are those of the same rows that were counted before; it learns the others.
    """
    blocks: dict[str, int] = {}
    counted = {} if known is None else known
    with connection.cursor() as cursor:
        for sql in (row["sql"] for row in queries if row["sql"].startswith("SELECT") and about in row["sql"]):
            if sql not in counted:
                cursor.execute(f"explain (analyze, buffers, format json) {sql}")
                plan = plan_of(cursor)
                counted[sql] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            blocks[sql] = blocks.get(sql, 0) + counted[sql]
    return blocks


def plan_of(cursor: Any) -> dict[str, Any]:
    """Return the plan that an `explain (format json)` answered."""
    told = cursor.fetchone()[0]
    found: dict[str, Any] = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
    return found
