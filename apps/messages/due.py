"""Queries by which the follower decides whether a messager step has work: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

SELECT: Final = """
    SELECT 1 FROM messages_message WHERE state IN ('UNFILLED', 'FILLED')
    UNION ALL SELECT 1 FROM messages_recovery WHERE since IS NOT NULL
"""
"""A message waits or is on its way, or messages are read back after a restore."""
