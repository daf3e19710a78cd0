"""Draws of a round: what is signed for the election and for the ticket, and how good a ticket is.

Source: filecoin-project/venus venus-shared/types (DrawRandomParams).
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.blocks.rounds.mining_base import Base, BaseInfo
from poolsite.filecoin import cbor
from poolsite.filecoin.address import Address
from poolsite.filecoin.block import Ticket
from poolsite.filecoin.randomness import Tag, draw_randomness, miner_entropy


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
