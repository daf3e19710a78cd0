"""Question by which the follower tells whether pieces have something to do: apps/chain/steps.py."""

from __future__ import annotations

from typing import Final

TIDY: Final = "SELECT 1 FROM pieces_piece WHERE state IN ('RECEIVED', 'FETCHING')"
"""A download or a commitment is due; idle uploads are looked at with the steps that are always sent."""
