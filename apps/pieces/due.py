"""Query by which the follower decides whether pieces have work: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

TIDY: Final = "SELECT 1 FROM pieces_piece WHERE state = 'RECEIVED'"
"""A commitment is due; idle uploads are checked with the steps that are always sent."""
FETCH: Final = "SELECT 1 FROM pieces_piece WHERE state = 'FETCHING'"
"""A download is due."""
INDEX: Final = """
    SELECT 1 FROM pieces_piece piece JOIN market_minermarket market ON market.miner_id = piece.miner_id
        LEFT JOIN pieces_blockindex made ON made.piece_id = piece.id
        WHERE market.serves_data AND piece.has_data AND piece.piece_cid <> '' AND piece.state <> 'FAILED'
        AND (made.piece_id IS NULL
            OR (made.is_due OR made.blocks > 0 AND made.entries = '')
                AND (made.tried_at IS NULL OR made.tried_at < $2 - interval '10 minutes')
            OR made.outcome = 'INDEXED' AND NOT made.is_due AND made.sampled_at < $2 - interval '1 day')
    UNION ALL
    SELECT 1 FROM pieces_blockindex
        WHERE volume IS NULL AND outcome = 'INDEXED' AND NOT is_due HAVING count(*) >= 16
"""
"""A piece of a miner that serves its data has no block index, one is to be sampled, or some to be merged."""
DELIVER: Final = """
    SELECT 1 FROM pieces_piecedelivery delivery JOIN pieces_piece piece ON piece.id = delivery.piece_id
        WHERE delivery.state = 'WAITING' AND (delivery.not_before IS NULL OR delivery.not_before <= $2)
        AND (piece.has_data OR delivery.until <= $2)
"""
"""Bytes that a market wants are here, or have not come in time."""
