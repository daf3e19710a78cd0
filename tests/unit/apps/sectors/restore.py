"""A chain that tells used numbers and live sectors, and the tables of a dump."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from apps.sectors.models import (
    ActiveSectors,
    Batch,
    HostInventory,
    Job,
    JobEvent,
    Pledge,
    Sector,
    SectorNumbers,
    SectorProof,
    Worker,
    WorkerCommand,
)
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from tests.unit.apps.sectors.adoptions import Chain
from tests.unit.apps.sectors.sealing import DIGEST

SECTOR_TABLES = (
    Pledge,
    Worker,
    WorkerCommand,
    HostInventory,
    Batch,
    Sector,
    SectorNumbers,
    ActiveSectors,
    SectorProof,
    Job,
    JobEvent,
)
"""What a dump has of sealing, parents first."""
DATA = [{"size": 2048, "comm_p": DIGEST.hex(), "payload": 2032}]


@dataclass
class Known(Chain):
    """A chain that also tells which numbers it has used."""

    used: set[int] = field(default_factory=set)

    def call(self, method: str, *params: Any) -> Any:
        if method == "StateMinerAllocated":
            return bitfield_to_json(bitfield_of(self.used))
        return super().call(method, *params)

    def state_miner_sectors(self, miner: str, numbers: Any, key: str) -> list[Any]:
        rows = super().state_miner_sectors(miner, numbers, key)
        live = set().union(*self.live.values())
        more = {"DealWeight": "0", "VerifiedDealWeight": "0", "DailyFee": "0"}
        return [row | more for row in rows if row["SectorNumber"] in live]

    def do_StateSectorPartition(self, _miner: str, number: int, _key: Any) -> Any:
        [(deadline, partition)] = [place for place, numbers in self.live.items() if number in numbers]
        return {"Deadline": deadline, "Partition": partition}
