"""A chain that has one miner's sectors in one partition, as far as proofs ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from poolsite.filecoin.bitfield import bitfield_from_json, bitfield_of, bitfield_to_json
from poolsite.filecoin.cids import commr_cid


@dataclass
class OneDeadline:
    """Stands where the client of the nodes is; what it says may be changed between two looks."""

    partitions: list[list[int]] = field(default_factory=lambda: [[1, 2]])
    beacon: bytes = b"b" * 32
    tickets: bytes = b"t" * 32
    proven: tuple[int, ...] = ()
    """Partitions that the chain has a proof of."""
    is_over: bool = False
    """Whether the window's end was executed: all sectors of the other partitions are faulty then."""
    null_below: int = 0
    """How many null rounds there are right below the head."""

    def read_ahead(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Keep nothing: what it says may be changed between two questions."""

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Answer StateMinerPartitions."""
        assert {method for method, _ in calls} == {"StateMinerPartitions"}
        rows = [
            self._partition(numbers, is_missed=self.is_over and index not in self.proven)
            for index, numbers in enumerate(self.partitions)
        ]
        return [rows for _ in calls]

    def _partition(self, numbers: list[int], *, is_missed: bool = False) -> dict[str, Any]:
        every, none = bitfield_to_json(bitfield_of(numbers)), bitfield_to_json(bitfield_of(()))
        return {
            "AllSectors": every,
            "LiveSectors": every,
            "ActiveSectors": none if is_missed else every,
            "FaultySectors": every if is_missed else none,
            "RecoveringSectors": none,
        }

    def state_miner_sectors(self, _address: str, wanted: Any, _key: str) -> list[dict[str, Any]]:
        """Return those sectors."""
        return [
            {
                "SealedCID": {"/": str(commr_cid(bytes(31) + bytes([number])))},
                "SectorNumber": number,
                "SealProof": 5,
            }
            for numbers in self.partitions
            for number in numbers
            if number in bitfield_from_json(wanted)
        ]

    def state_miner_deadlines(self, _address: str, _key: str) -> list[dict[str, Any]]:
        """Return one deadline with what was posted in it."""
        return [{"PostSubmissions": bitfield_to_json(bitfield_of(self.proven))}]

    def chain_get_tipset_by_height(self, height: int, _key: str) -> Any:
        """Return the tipset there or below."""
        return SimpleNamespace(height=height - self.null_below)

    def state_get_randomness_from_beacon(self, _tag: int, _epoch: int, *, entropy: bytes, key: str) -> bytes:
        """Return the challenge."""
        assert entropy
        assert key
        return self.beacon

    def state_get_randomness_from_tickets(self, _tag: int, _epoch: int, *, entropy: bytes, key: str) -> bytes:
        """Return what names the branch."""
        assert (entropy, bool(key)) == (b"", True)
        return self.tickets
