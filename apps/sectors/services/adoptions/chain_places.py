"""Where the live sectors of a miner are by the chain, and their claims."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apps.miners.onchain.partition_facts import partitions_read
from apps.sectors.onchain.live_sectors import claims_read
from poolsite.filecoin.bitfield import bitfield_union

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.miners.models import Miner
    from apps.sectors.onchain.live_sectors import Claim
    from apps.sectors.services.batches.context import SealingContext
    from poolsite.filecoin.bitfield import BitField


@dataclass(slots=True)
class Places:
    """Where the live sectors of a miner are by the chain, and which of them are active."""

    live: BitField
    active: BitField
    partitions: list[tuple[int, int, BitField]]

    @classmethod
    def read(cls, miner: Miner, work: SealingContext) -> Places:
        """Query a node.  Raises NodeRefused, NodeUnavailable."""
        deadlines = range(work.network.proving.deadlines)
        read = partitions_read(work.client, miner.address, deadlines, work.head.key)
        found = [(at, index, one) for at, rows in read.items() for index, one in enumerate(rows)]
        return cls(
            live=bitfield_union(one.live for _, _, one in found),
            active=bitfield_union(one.active for _, _, one in found),
            partitions=[(at, index, one.live) for at, index, one in found if one.live],
        )

    def of(self, numbers: BitField) -> dict[int, tuple[int, int]]:
        """Return deadline and partition of these numbers."""
        return {number: (at, index) for at, index, live in self.partitions for number in live & numbers}


@dataclass(slots=True)
class Claims:
    """The claims of a miner by sector, read once they are needed: a node gives all of them at once."""

    work: SealingContext
    miner: Miner
    known: dict[int, list[Claim]] | None = field(default=None)

    def of(self, number: int) -> Sequence[Claim]:
        """Return those of a sector.  Raises NodeRefused, NodeUnavailable."""
        if self.known is None:
            self.known = claims_read(self.work.client, self.miner.address, key=self.work.head.key)
        return self.known.get(number, ())
