"""Which addresses send for a miner."""

from __future__ import annotations
