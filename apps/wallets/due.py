"""Query by which a head decides whether wallets are read: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

TURN_EVERY_S: Final = 5
"""Least time between two turns: on a chain of short epochs only heads that moved a wallet ask in between."""

REFRESH: Final = f"""
    SELECT 1 WHERE NOT EXISTS (
        SELECT 1 FROM wallets_wallet WHERE checked_at > $2 - interval '{TURN_EVERY_S} seconds')
    UNION ALL SELECT 1 FROM wallets_wallet WHERE checked_at IS NULL OR moved_at >= checked_at
    UNION ALL SELECT 1 FROM gateway_signerkey key WHERE removed_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM wallets_wallet wallet WHERE wallet.address = key.address)
"""  # noqa: S608  # a constant
"""Another turn is due, a wallet moved, or a key is new."""
