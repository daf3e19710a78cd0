"""Queries by which a head decides whether a step of billing has work: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

CHARGES: Final = """
    SELECT 1 FROM miners_minerday began JOIN miners_minerday later ON later.miner_id = began.miner_id
        AND later.day > began.day AND later.height <= $1 - $3
        WHERE NOT began.is_charged
    UNION ALL SELECT 1 FROM miners_removedminerday gone WHERE gone."end" <= $1 - $3 LIMIT 1
"""
"""A miner's day is over and final, and it is not settled what the pool charges for it."""
