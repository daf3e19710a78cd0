"""The template of a block, what a proof of a win is asked with, and messages that no two blocks share.

Source: filecoin-project/venus venus-shared/types (BlockTemplate).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace

from apps.blocks.rounds.mining_base import Base, BaseInfo, Json
from poolsite.filecoin.address import Address
from poolsite.filecoin.block import BeaconEntry, BlockMsg, ElectionProof, PoStProof, Ticket
from poolsite.filecoin.codec import to_json
from poolsite.filecoin.signature import Signature


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
    senders: set[str] = set()
    result = []
    for messages in lists:
        own = [one for one in messages or () if one["Message"]["From"] not in senders]
        senders.update(one["Message"]["From"] for one in own)
        result.append(own)
    return result
