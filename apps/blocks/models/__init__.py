"""Rows of block production: rounds, blocks, days and F3 leases; and what the pool charges its tenants."""

from __future__ import annotations

from apps.blocks.models.billing import BillingTerms, Charge, Statement
from apps.blocks.models.blocks import Block, F3Lease, MiningDay, Round

__all__ = ["BillingTerms", "Block", "Charge", "F3Lease", "MiningDay", "Round", "Statement"]
