"""The query by which the follower decides whether deals have work: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

DEALS: Final = """
    SELECT 1 FROM market_deal deal LEFT JOIN pieces_piece piece ON piece.id = deal.piece_id
        WHERE deal.state IN ('ACCEPTED', 'TRANSFERRING', 'UNPUBLISHED', 'PUBLISHING')
        OR deal.state = 'FAILED' AND piece.state = 'HELD'
        OR deal.state IN ('VERIFIED', 'SEALING', 'ACTIVE') AND deal.state IS DISTINCT FROM
            CASE piece.state WHEN 'READY' THEN 'VERIFIED' WHEN 'PACKED' THEN 'SEALING' ELSE piece.state END
        OR deal.state = 'ENDED' AND piece.state IN ('PACKED', 'ACTIVE')
            AND piece.sector_number = deal.sector_number
        LIMIT 1
"""
"""Data of a deal are to come, it is to be published, or its piece has gone on."""
