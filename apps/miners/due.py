"""Queries by which a head decides whether anything is due for miners: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

ESTIMATE_EPOCHS: Final = 10
"""How old the estimates of reward and power get: they are smoothed over days."""

ESTIMATES: Final = f"""
    SELECT 1 FROM miners_miner WHERE state = 'ACTIVE' AND NOT EXISTS (
        SELECT 1 FROM miners_rewardestimate WHERE height > $1 - {ESTIMATE_EPOCHS} AND height <= $1)
"""  # noqa: S608  # a constant
"""The pool has a miner, and the estimates are old."""

YOUNG_EPOCHS: Final = 1_000
"""How long a reorganisation may give a miner's ID to another actor."""

CREATIONS: Final = f"""
    SELECT 1 FROM miners_miner miner JOIN messages_message message ON message.id = miner.create_message_id
        WHERE NOT (miner.state = $1 AND message.state = $2 AND message.exit_code IS NOT DISTINCT FROM 0
            AND miner.created_height IS NOT DISTINCT FROM message.height)
            OR miner.created_height > miner.refreshed_height - {YOUNG_EPOCHS} LIMIT 1
"""  # noqa: S608  # a constant
"""A CreateMiner message is on the way, has failed, left the chain under its miner, or still may."""

DAYS: Final = """
    SELECT 1 FROM miners_miner miner WHERE state = 'ACTIVE' AND NOT EXISTS (
        SELECT 1 FROM miners_minerday WHERE miner_id = miner.id AND day = ($2 AT TIME ZONE 'UTC')::date)
"""
"""A miner's day has begun, and what it held is not written."""
