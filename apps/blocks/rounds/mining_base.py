"""The tipset that a round builds on, and what a node says of a miner's election there.

Source: filecoin-project/venus venus-shared/types (MiningBaseInfo).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from poolsite.filecoin.address import Address, address_parse
from poolsite.filecoin.block import BeaconEntry, BlockHeader
from poolsite.filecoin.codec import from_json
from poolsite.filecoin.election import BLOCKS_PER_EPOCH
from poolsite.filecoin.tipset import Tipset, TipsetKey, tipset_from_json, tipset_new

Json = Any


@dataclass(frozen=True, slots=True)
class Base:
    """A tipset to build on."""

    key: TipsetKey
    height: int
    timestamp: int
    """The earliest of its blocks, UNIX seconds."""
    ticket: bytes
    """VRF proof of its smallest ticket."""
    actor_ids: frozenset[int]
    """Of the miners that made its blocks."""
    blocks: tuple[BlockHeader, ...]

    @property
    def weight(self) -> int:
        """Return the weight of the chain below it."""
        return int(self.blocks[0].parent_weight)


def base_from_json(value: Json) -> Base:
    """Read a tipset.  Raises ValueError or its kin."""
    return _base_of(tipset_from_json(value))


def _base_of(tipset: Tipset) -> Base:
    ticket = tipset.min_ticket
    return Base(
        key=tipset.key,
        height=tipset.height,
        timestamp=tipset.min_timestamp,
        ticket=b"" if ticket is None else ticket.vrf_proof,
        actor_ids=frozenset(block.miner.actor_id for block in tipset.blocks),
        blocks=tipset.blocks,
    )


def base_followed(base: Base, head: Base, *, actor_id: int) -> Base:
    """Return what a miner builds on if the chain's tipset below its epoch was `base` and is `head` now.

    Of blocks that came late nobody else's block knows, so ours would stand alone with them; those that the
    node has dropped were made by somebody who signed two.  The miner's own block must not be left out.
    Source: lotus miner/miner.go mineOne, which takes the intersection, too.
    """
    cids = set(base.key.cids) & set(head.key.cids)
    is_own_late = actor_id in head.actor_ids - base.actor_ids
    if head.height < base.height:
        return base
    if not cids or is_own_late:
        return head
    if len(cids) == len(base.blocks):
        return base
    return _base_of(tipset_new(block for block in base.blocks if block.cid in cids))


@dataclass(frozen=True, slots=True)
class BaseInfo:
    """What a node says of a miner's chance at an epoch."""

    power: int
    network_power: int
    sectors: tuple[Json, ...]
    """ExtendedSectorInfo as the node wrote it, which the prover reads."""
    worker: Address
    beacon: bytes
    """What ticket, election and challenge are drawn from."""
    entries: tuple[BeaconEntry, ...]
    """What the block carries."""
    is_eligible: bool

    @property
    def expected(self) -> float:
        """Return the expected number of wins."""
        return BLOCKS_PER_EPOCH * self.power / self.network_power if self.network_power else 0.0

    @property
    def sector(self) -> int | None:
        """Return the number of the sector to prove."""
        return int(self.sectors[0]["SectorNumber"]) if self.sectors else None


def base_info_from_json(value: Json) -> BaseInfo | None:
    """Read MiningBaseInfo; None where the node has none for the miner.  Raises ValueError or its kin."""
    if value is None:
        return None
    entries = tuple(from_json(BeaconEntry, entry) for entry in value["BeaconEntries"] or ())
    last = entries[-1] if entries else from_json(BeaconEntry, value["PrevBeaconEntry"])
    return BaseInfo(
        power=int(value["MinerPower"] or 0),
        network_power=int(value["NetworkPower"] or 0),
        sectors=tuple(value["Sectors"] or ()),
        worker=address_parse(value["WorkerKey"]),
        beacon=last.data,
        entries=entries,
        is_eligible=value["EligibleForMining"] is True,
    )
