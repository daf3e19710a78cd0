"""Rows of block production: rounds, blocks, days and F3 leases; and what the pool charges its tenants."""

from __future__ import annotations

from apps.blocks.models.billing import BillingTerms, Charge, Statement
from apps.blocks.models.blocks import Block, F3Lease, MiningDay, Round
from apps.blocks.models.prices import DayPrice, PriceReading

__all__ = [
    "BillingTerms",
    "Block",
    "Charge",
    "DayPrice",
    "F3Lease",
    "MiningDay",
    "PriceReading",
    "Round",
    "Statement",
]
