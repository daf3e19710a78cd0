"""One miner's sectors while they are read back after a restore."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from apps.miners.models import Miner
from apps.sectors.models import Sector
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.readback.imports import FoundSector
from poolsite.filecoin.bitfield import BitField, bitfield_of
from poolsite.wire.pipeline import FINAL_STATES


@dataclass(slots=True)
class MinerImport:
    """One miner's sectors while they are read back."""

    miner: Miner
    restored_at: datetime
    work: SealingContext
    found: dict[int, FoundSector] = field(default_factory=dict)
    """By number: the host that is furthest with it."""
    stored: dict[str, BitField] = field(default_factory=dict)
    """By store: the numbers whose files lie in it."""
    unclear: set[str] = field(default_factory=set)
    """Names that a host told though no store of its has them, or more than one: a mark that was renamed
    to a taken name."""
    read_stores: set[str] = field(default_factory=set)
    """Names of the stores that hosts had looked into when they told."""
    has_uids: bool = True
    """Whether hosts told all of it by the stores' identities, not by names that two may share."""
    live: BitField = field(default_factory=BitField)
    """Proven sectors that the chain has not ended."""
    count: int = 0
    """Rows that were written or moved."""

    def rows(self) -> dict[int, Sector]:
        """Return the sectors in progress, by number."""
        rows = Sector.objects.filter(miner=self.miner).exclude(state__in=FINAL_STATES)
        return {row.number: row for row in rows.select_related("miner", "job").order_by("pk")}

    def numbers(self, *states: str) -> BitField:
        """Return the numbers of all rows, or of those in these states."""
        rows = Sector.objects.filter(miner=self.miner)
        rows = rows.filter(state__in=states) if states else rows
        return bitfield_of(rows.values_list("number", flat=True).iterator())

    def store_of(self, number: int) -> str:
        """Return the store that has a sector's files; empty if no host has reported them."""
        return next((name for name, numbers in self.stored.items() if number in numbers), "")
