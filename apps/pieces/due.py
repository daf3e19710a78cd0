"""Query by which the follower decides whether pieces have work: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

TIDY: Final = "SELECT 1 FROM pieces_piece WHERE state = 'RECEIVED'"
"""A commitment is due; idle uploads are checked with the steps that are always sent."""
FETCH: Final = "SELECT 1 FROM pieces_piece WHERE state = 'FETCHING'"
"""A download is due."""
DELIVER: Final = """
    SELECT 1 FROM pieces_piecedelivery delivery JOIN pieces_piece piece ON piece.id = delivery.piece_id
        WHERE delivery.state = 'WAITING' AND (delivery.not_before IS NULL OR delivery.not_before <= $2)
        AND (piece.has_data OR delivery.until <= $2)
"""
"""Bytes that a market wants are here, or have not come in time."""
