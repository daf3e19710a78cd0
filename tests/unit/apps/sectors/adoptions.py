"""A chain that has sectors which no row knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from apps.sectors.selectors.sealing_context import SealingContext
from poolsite.filecoin.bitfield import bitfield_from_json, bitfield_of, bitfield_to_json
from poolsite.filecoin.cids import commr_cid
from tests.unit.apps.sectors.chain import SomeSectors
from tests.unit.apps.sectors.reconcile import work


def comm_r_of(number: int) -> bytes:
    return number.to_bytes(31, "big") + b"\0"


@dataclass
class Chain(SomeSectors):
    """A chain with the sectors of one miner, two partitions in deadline 1 and one in deadline 3."""

    live: dict[tuple[int, int], set[int]] = field(default_factory=dict)
    """Numbers by deadline and partition."""
    faulty: set[int] = field(default_factory=set)
    unproven: set[int] = field(default_factory=set)
    claims: dict[str, Any] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    """How many sectors each question was about."""

    def do_StateMinerPartitions(self, _miner: str, deadline: int, _key: Any) -> Any:
        rows = []
        for index in range(2 if deadline == 1 else 1):
            live = self.live.get((deadline, index), set())
            fields = {
                "AllSectors": live | {99_999},
                "LiveSectors": live,
                "ActiveSectors": live - self.faulty - self.unproven,
                "FaultySectors": live & self.faulty,
                "RecoveringSectors": set(),
            }
            rows.append({name: bitfield_to_json(bitfield_of(one)) for name, one in fields.items()})
        return rows

    def state_miner_sectors(self, _miner: str, numbers: Any, _key: str) -> list[Any]:
        wanted = list(bitfield_from_json(numbers))
        self.asked.append(len(wanted))
        verified = {int(one["Sector"]) for one in self.claims.values()}
        return [
            {
                "SectorNumber": number,
                "SealProof": 5,
                "SealedCID": {"/": str(commr_cid(comm_r_of(number)))},
                "SectorKeyCID": None,
                "Activation": 100 + number,
                "Expiration": 900_000 + number,
                "InitialPledge": "7",
                "VerifiedDealWeight": "1" if number in verified else "0",
            }
            for number in wanted
        ]

    def call(self, method: str, *_params: Any) -> Any:
        assert method == "StateGetClaims"
        return self.claims


def chain_of(*numbers: int) -> Chain:
    """The numbers, in turn in three partitions."""
    places = [(1, 0), (1, 1), (3, 0)]
    live: dict[tuple[int, int], set[int]] = {place: set() for place in places}
    for number in numbers:
        live[places[number % 3]].add(number)
    return Chain(live=live)


def at_head(chain: Chain) -> SealingContext:
    return work(cast("Any", chain))


class Killed(BaseException):
    """The process ends."""
