"""Forms of block production: base tipset, base info, what is drawn and signed, the template of a block.

Source: filecoin-project/venus venus-shared/types (MiningBaseInfo, BlockTemplate, DrawRandomParams).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from poolsite.filecoin import cbor
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.block import BeaconEntry, BlockMsg, Ticket
from poolsite.filecoin.codec import from_json, to_json
from poolsite.filecoin.election import BLOCKS_PER_EPOCH
from poolsite.filecoin.randomness import Tag, draw_randomness, miner_entropy
from poolsite.filecoin.tipset import TipsetKey, tipset_from_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poolsite.filecoin.address import Address
    from poolsite.filecoin.block import ElectionProof, PoStProof
    from poolsite.filecoin.signature import Signature

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
    weight: int
    """Of the chain below it."""
    actor_ids: frozenset[int]
    """Of the miners that made its blocks."""


def base_from_json(value: Json) -> Base:
    """Read a tipset.  Raises ValueError or its kin."""
    tipset = tipset_from_json(value)
    ticket = tipset.min_ticket
    return Base(
        key=tipset.key,
        height=tipset.height,
        timestamp=tipset.min_timestamp,
        ticket=b"" if ticket is None else ticket.vrf_proof,
        weight=int(tipset.parent_weight),
        actor_ids=frozenset(block.miner.actor_id for block in tipset.blocks),
    )


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


@dataclass(frozen=True, slots=True)
class Draw:
    """Randomness that a miner's worker signs."""

    beacon: bytes
    tag: Tag
    epoch: int
    entropy: bytes

    @property
    def randomness(self) -> bytes:
        """Return what the signature covers."""
        return draw_randomness(self.beacon, self.tag, self.epoch, self.entropy)

    def to_cbor(self) -> bytes:
        """Return DrawRandomParams, which a wallet hashes itself: a map in Go's order of fields."""
        fields = {"Rbase": self.beacon, "Pers": int(self.tag), "Round": self.epoch, "Entropy": self.entropy}
        items = (cbor.text_write(name) + cbor.encode(value) for name, value in fields.items())
        return cbor.head_write(cbor.MAP, len(fields)) + b"".join(items)


def election_draw(info: BaseInfo, miner: Address, epoch: int) -> Draw:
    """Return what tells by its signature how often the miner wins."""
    return Draw(info.beacon, Tag.ELECTION_PROOF_PRODUCTION, epoch, miner_entropy(miner))


def ticket_draw(info: BaseInfo, miner: Address, epoch: int, *, base: Base) -> Draw:
    """Return what becomes the block's ticket by its signature."""
    return Draw(info.beacon, Tag.TICKET_PRODUCTION, epoch - 1, miner_entropy(miner) + base.ticket)


def ticket_quality(ticket: bytes) -> float:
    """Return how early the block's messages come among those of its epoch, 0 to 1."""
    return 1.0 - int.from_bytes(Ticket(ticket).digest, "big") / (1 << 256)


def proof_request(info: BaseInfo, randomness: bytes, *, epoch: int, network_version: int) -> Json:
    """Return ComputeProofRequest."""
    return {
        "SectorInfos": list(info.sectors),
        "Rand": base64.b64encode(randomness).decode(),
        "Height": epoch,
        "NWVersion": network_version,
    }


@dataclass(frozen=True, slots=True)
class BlockTemplate:
    """What a node makes a block of."""

    miner: Address
    base: Base
    epoch: int
    timestamp: int
    ticket: bytes
    election: ElectionProof
    entries: tuple[BeaconEntry, ...]
    proofs: tuple[PoStProof, ...]
    messages: Sequence[Json]
    """Signed messages as the node gave them."""

    def to_json(self) -> Json:
        """Return the parameter of MinerCreateBlock."""
        return {
            "Miner": str(self.miner),
            "Parents": [{"/": str(cid)} for cid in self.base.key.cids],
            "Ticket": to_json(Ticket(self.ticket)),
            "Eproof": to_json(self.election),
            "BeaconValues": [to_json(entry) for entry in self.entries],
            "Messages": list(self.messages),
            "Epoch": self.epoch,
            "Timestamp": self.timestamp,
            "WinningPoStProof": [to_json(proof) for proof in self.proofs],
        }


def with_signature(block: BlockMsg, signature: Signature | None) -> BlockMsg:
    """Return the block with another signature, or without one."""
    return replace(block, header=replace(block.header, block_sig=signature))


def messages_disjoint(lists: Sequence[Sequence[Json]]) -> list[list[Json]]:
    """Return each list without the senders that an earlier one has.

    A block must be valid on its parents alone: whoever leaves out a sender's first message for another
    block's sake must leave out all of the sender's.
    """
    taken: set[str] = set()
    result = []
    for messages in lists:
        own = [one for one in messages or () if one["Message"]["From"] not in taken]
        taken.update(one["Message"]["From"] for one in own)
        result.append(own)
    return result
