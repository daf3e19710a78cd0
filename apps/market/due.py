"""Queries by which the follower decides whether deals have work: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

_MOVED: Final = """(
    deal.state IN ('VERIFIED', 'SEALING', 'ACTIVE') AND deal.state IS DISTINCT FROM
        CASE piece.state WHEN 'READY' THEN 'VERIFIED' WHEN 'PACKED' THEN 'SEALING' ELSE piece.state END
    OR deal.state = 'ENDED' AND piece.state IN ('PACKED', 'ACTIVE')
        AND piece.sector_number = deal.sector_number
)"""
"""A deal's piece has gone on."""

FOLLOWED: Final = f"""
    SELECT id FROM market_deal WHERE state IN ('ACCEPTED', 'TRANSFERRING', 'UNPUBLISHED')
    UNION SELECT deal.id FROM pieces_piece piece JOIN market_deal deal ON deal.piece_id = piece.id
        WHERE piece.state = 'HELD' AND deal.state = 'FAILED'
    UNION SELECT deal.id FROM market_deal deal LEFT JOIN pieces_piece piece ON piece.id = deal.piece_id
        WHERE deal.state IN ('VERIFIED', 'SEALING') AND {_MOVED}
    UNION SELECT id FROM market_deal WHERE state = 'ACTIVE' AND piece_id IS NULL
    UNION SELECT deal.id FROM pieces_piece piece JOIN market_deal deal ON deal.piece_id = piece.id
        WHERE piece.state_since > $2::timestamptz - interval '1 day' AND {_MOVED}
"""  # noqa: S608  # constants
"""Keys of the deals whose data are to come, or whose piece has gone on within a day."""

ALL_MOVED: Final = f"""
    SELECT deal.id FROM market_deal deal LEFT JOIN pieces_piece piece ON piece.id = deal.piece_id
        WHERE {_MOVED}
"""  # noqa: S608  # constants
"""The same of pieces that have gone on at any time: it reads all deals that were ever active."""

DEALS: Final = f"""
    SELECT 1 FROM market_deal WHERE state = 'PUBLISHING'
    UNION ALL SELECT 1 FROM ({FOLLOWED}) followed
"""  # noqa: S608  # constants
"""Data of a deal are to come, it is to be published, or its piece has gone on."""
