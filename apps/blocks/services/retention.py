"""Rounds without a win are kept for a while, then summed up by miner and day.

A pool of 200 miners has 576,000 rounds a day, of which a few dozen are won; those are kept for good.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import connection

BATCH: Final = 20_000
"""Rounds in one statement."""

SUM_UP: Final = """
    WITH gone AS (
        DELETE FROM blocks_round WHERE id IN (
            SELECT id FROM blocks_round WHERE win_count = 0 AND at < %s ORDER BY at LIMIT %s
        ) RETURNING miner_id, at, state, why_not, expected
    ), sums AS (
        INSERT INTO blocks_miningday (miner_id, day, rounds, eligible, missed, expected)
        SELECT miner_id, (at AT TIME ZONE 'UTC')::date, count(*),
            count(*) FILTER (WHERE why_not = ''),
            count(*) FILTER (WHERE state NOT IN ('NO_WIN', 'NOT_ELIGIBLE')),
            coalesce(sum(expected) FILTER (WHERE state = 'NO_WIN'), 0)
        FROM gone GROUP BY 1, 2
        ON CONFLICT (miner_id, day) DO UPDATE SET
            rounds = blocks_miningday.rounds + excluded.rounds,
            eligible = blocks_miningday.eligible + excluded.eligible,
            missed = blocks_miningday.missed + excluded.missed,
            expected = blocks_miningday.expected + excluded.expected
    )
    SELECT count(*) FROM gone
"""
"""One statement: a round is a row of its own or in a sum, whenever the service is killed."""


def rounds_sum_up(*, before: datetime) -> int:
    """Sum up the oldest rounds without a win from before a moment; return how many at most BATCH were."""
    with connection.cursor() as cursor:
        cursor.execute(SUM_UP, [before, BATCH])
        return int(cursor.fetchone()[0])
