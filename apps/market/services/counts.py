"""Sums of deals by miner, client and state, from which *Deals* and *Clients* are counted."""

from __future__ import annotations

from typing import Final

from django.db import connection

ADD_UP: Final = """
    WITH changed AS (SELECT DISTINCT miner_id, client, state FROM market_dealcount WHERE is_new),
    old AS (
        DELETE FROM market_dealcount count USING changed
        WHERE (count.miner_id, count.client, count.state) = (changed.miner_id, changed.client, changed.state)
        RETURNING count.*
    )
    INSERT INTO market_dealcount (miner_id, client, state, deals, raw_bytes, first_at, last_at, is_new)
    SELECT miner_id, client, state, sum(deals), sum(raw_bytes), min(first_at), max(last_at), false FROM old
    GROUP BY miner_id, client, state HAVING sum(deals) <> 0 OR sum(raw_bytes) <> 0
"""


def counts_add_up() -> None:
    """Make one row of each sum and its changes, in one statement: readers see all of it or nothing."""
    with connection.cursor() as cursor:
        cursor.execute(ADD_UP)
