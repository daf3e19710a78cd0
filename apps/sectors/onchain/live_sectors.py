"""Sectors that the chain has, as a termination or an extension needs them.

Source: go-state-types builtin/v18/miner SectorOnChainInfo, Partition; FIP-0045 (claims), FIP-0098 (fee),
FIP-0100 (daily fee).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.chain.errors import NodeRefused
from apps.core.marked_texts import gettext
from apps.miners.models import RewardEstimate
from apps.sectors.onchain.sectors import partitions_of, sector_rows_read
from poolsite.filecoin.bitfield import bitfield_from_json
from poolsite.filecoin.cids import cid_from_json
from poolsite.filecoin.pledge import termination_fee
from poolsite.filecoin.power import quality_power

if TYPE_CHECKING:
    from apps.chain.node.client import ChainClient


@dataclass(frozen=True, slots=True)
class LiveSector:
    """A sector in a partition of the chain's, not ended."""

    number: int
    size: int
    activation: int
    expiration: int
    power_base: int
    pledge: int
    verified_weight: int
    daily_fee: int
    deadline: int
    partition: int
    is_faulty: bool
    is_active: bool
    """Whether it counts as power: neither faulty nor still before its first window."""

    @property
    def power(self) -> int:
        """Quality-adjusted power, bytes."""
        return quality_power(
            self.size, duration=self.expiration - self.power_base, verified_weight=self.verified_weight
        )

    def fee(self, reward: RewardEstimate, *, height: int) -> int:
        """Return the fee for ending it at `height`, attoFIL."""
        fault_fee = reward.fault_fee(self.power)
        return int(termination_fee(self.pledge, age=height - self.activation, sector_fault_fee=fault_fee))


@dataclass(frozen=True, slots=True)
class Claim:
    """Verified data of a client in a sector."""

    id: int
    sector: int
    size: int
    last: int
    """The latest epoch to which its sector may be extended with it."""
    piece_cid: str = ""
    client: int = 0
    term_start: int = 0
    """Epoch of the claim."""
    term_min: int = 0
    """Epochs since then for which the data must be kept at least."""

    def is_held(self, expiration: int) -> bool:
        """Return whether the sector, which ends at `expiration`, still has these data.

        The registry keeps a claim that an extension dropped until somebody removes it once it has ended; one
        that a sector has reaches to the sector's end at least.
        Source: builtin-actors, actors/miner/src/lib.rs `extend_simple_qap_sector`, actors/verifreg/src/lib.rs
        `remove_expired_claims`.
        """
        return self.last >= expiration


def live_sectors_read(
    client: ChainClient, address: str, numbers: Sequence[int], *, size: int, key: str
) -> dict[int, LiveSector]:
    """Return those of these numbers that live, by number.

    One is left out only where the node says so, as its files may go then.  Raises NodeRefused,
    NodeUnavailable.
    """
    infos = sector_rows_read(client, address, numbers, key)
    places = partitions_of(client, address, sorted(infos), key, is_whole=True)
    states = _partitions_read(client, address, {deadline for deadline, _ in places.values()}, key=key)
    found: dict[int, LiveSector] = {}
    for number, (deadline, partition) in places.items():
        state = states.get((deadline, partition))
        if state is None:
            raise NodeRefused(
                1,
                gettext("the node has no partition {partition} of deadline {deadline} of {address}").format(
                    partition=partition, deadline=deadline, address=address
                ),
            )
        if number in bitfield_from_json(state["LiveSectors"]):
            found[number] = _live(
                infos[number],
                size=size,
                deadline=deadline,
                partition=partition,
                is_faulty=number in bitfield_from_json(state["FaultySectors"]),
                is_active=number in bitfield_from_json(state["ActiveSectors"]),
            )
    return found


def _partitions_read(
    client: ChainClient, address: str, deadlines: Iterable[int], *, key: str
) -> dict[tuple[int, int], dict[str, Any]]:
    indexes = sorted(deadlines)
    tipset = [{"/": word} for word in key.split()]
    answers = client.call_many([("StateMinerPartitions", [address, index, tipset]) for index in indexes])
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for index, answer in zip(indexes, answers, strict=True):
        if isinstance(answer, NodeRefused):
            raise answer
        found |= {(index, at): row for at, row in enumerate(answer or [])}
    return found


def _live(
    row: dict[str, Any], *, size: int, deadline: int, partition: int, is_faulty: bool, is_active: bool
) -> LiveSector:
    return LiveSector(
        number=int(row["SectorNumber"]),
        size=size,
        activation=int(row["Activation"]),
        expiration=int(row["Expiration"]),
        power_base=int(row.get("PowerBaseEpoch") or row["Activation"]),
        pledge=int(row["InitialPledge"]),
        verified_weight=int(row["VerifiedDealWeight"]),
        daily_fee=int(row.get("DailyFee") or 0),
        deadline=deadline,
        partition=partition,
        is_faulty=is_faulty,
        is_active=is_active,
    )


def claims_read(client: ChainClient, address: str, *, key: str) -> dict[int, list[Claim]]:
    """Return a miner's claims by sector."""
    rows = client.call("StateGetClaims", address, [{"/": word} for word in key.split()]) or {}
    found: dict[int, list[Claim]] = defaultdict(list)
    for number, row in sorted(rows.items(), key=lambda item: int(item[0])):
        last = int(row["TermStart"]) + int(row["TermMax"])
        claim = Claim(
            id=int(number),
            sector=int(row["Sector"]),
            size=int(row["Size"]),
            last=last,
            piece_cid=str(cid_from_json(row.get("Data")) or ""),
            client=int(row.get("Client") or 0),
            term_start=int(row["TermStart"]),
            term_min=int(row.get("TermMin") or 0),
        )
        found[claim.sector].append(claim)
    return found
