"""Chain randomness as nodes draw it: from tickets and beacon entries of a tipset's ancestors.

Source: lotus chain/rand/rand.go getChainRandomness (nearest earlier tipset), getBeaconEntryV3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.filecoin.randomness import draw_randomness, randomness_digest

if TYPE_CHECKING:
    from poolsite.devnet.chain import Chain
    from poolsite.filecoin.block import BeaconEntry
    from poolsite.filecoin.randomness import Tag
    from poolsite.filecoin.tipset import Tipset


class FutureRandomness(ValueError):
    """Randomness of an epoch after the base."""

    def __init__(self) -> None:
        super().__init__("cannot draw randomness from the future")


@dataclass(frozen=True, slots=True)
class Lottery:
    """Randomness seen from a tipset."""

    chain: Chain
    base: Tipset

    def tickets(self, tag: Tag | int, epoch: int, entropy: bytes) -> bytes:
        """Draw from the ticket at `epoch`, of an earlier tipset if that was a null round."""
        return draw_randomness(self.ticket_base(epoch), tag, epoch, entropy)

    def beacon(self, tag: Tag | int, epoch: int, entropy: bytes) -> bytes:
        """Draw from the beacon entry of `epoch`."""
        return draw_randomness(self.beacon_entry(epoch).data, tag, epoch, entropy)

    def ticket_digest(self, epoch: int) -> bytes:
        """Return the ticket's part of a draw."""
        return randomness_digest(self.ticket_base(epoch))

    def beacon_digest(self, epoch: int) -> bytes:
        """Return the beacon's part of a draw."""
        return randomness_digest(self.beacon_entry(epoch).data)

    def ticket_base(self, epoch: int) -> bytes:
        """Return the smallest ticket of the tipset at `epoch` or before it.  Raises FutureRandomness."""
        if epoch > self.base.height:
            raise FutureRandomness
        ticket = self.chain.at_height(max(epoch, 0), self.base).min_ticket
        return b"" if ticket is None else ticket.vrf_proof

    def beacon_entry(self, epoch: int) -> BeaconEntry:
        """Return the beacon entry of `epoch`; a tipset at or after it has it.  Raises FutureRandomness."""
        if epoch > self.base.height:
            raise FutureRandomness
        epoch = max(epoch, 0)
        tipset = self.chain.at_height(epoch, self.base, after=True)
        for entry in tipset.blocks[0].beacon_entries:
            if entry.round == epoch:
                return entry
        return tipset.blocks[0].beacon_entries[-1]


def latest_beacon(chain: Chain, tipset: Tipset) -> BeaconEntry:
    """Return the newest beacon entry at or before a tipset.  Source: beacon GetLatestBeaconEntry."""
    for ancestor in chain.ancestors(tipset):
        entries = ancestor.blocks[0].beacon_entries
        if entries:
            return entries[-1]
    raise LookupError("no beacon entry in the chain")
