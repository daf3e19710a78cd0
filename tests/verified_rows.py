"""Rows of verified data for tests: allocations and claims of a miner."""

from __future__ import annotations

from typing import Any

from apps.core.clock import now
from apps.miners.models import Miner
from apps.sectors.models import Allocation, VerifiedClaim
from tests.factories import counter, piece_cid


def allocation(of: Miner, **data: Any) -> Allocation:
    """An allocation for a miner that can still be claimed, and whose data are not here."""
    number = next(counter)
    terms = {"term_min": 518_400, "term_max": 1_555_200, "expiration": 100_000}
    fields = {"number": number, "client": 1010, "piece_cid": piece_cid(number), "size": 1 << 20}
    return Allocation.objects.create(miner=of, seen_at=now(), **(fields | terms | data))


def claim(of: Miner, **data: Any) -> VerifiedClaim:
    """A claim of a miner's verified data."""
    number = next(counter)
    terms = {"term_start": 100, "term_min": 518_400, "end_epoch": 1_555_300, "sector_number": number}
    fields = {"number": number, "client": 1010, "piece_cid": piece_cid(number), "size": 1 << 20}
    return VerifiedClaim.objects.create(miner=of, **(fields | terms | data))
