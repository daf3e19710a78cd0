"""Chain randomness: drawing 32 bytes for a purpose from a ticket or a beacon entry.

blake2b-256 of the purpose's tag (8 bytes), the hash of the base, the epoch (8 bytes) and the entropy.  The
tag keeps what is drawn for one purpose from being used for another, the entropy one miner's from another's.

Source: lotus chain/rand/rand.go DrawRandomnessFromBase; go-state-types crypto/randomness.go.
"""

from __future__ import annotations

import enum
import hashlib
from typing import TYPE_CHECKING

from poolsite.filecoin.cbor import bytes_write

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


class Tag(enum.IntEnum):
    """Domain separation tags: what the randomness is for."""

    TICKET_PRODUCTION = 1
    """The ticket of a block; from the beacon, at the epoch before."""
    ELECTION_PROOF_PRODUCTION = 2
    """Whether a miner may make a block; from the beacon."""
    WINNING_POST_CHALLENGE_SEED = 3
    """Sector and challenges of a block's WinningPoSt; from the beacon."""
    WINDOWED_POST_CHALLENGE_SEED = 4
    """Challenges of a deadline's WindowPoSt; from the beacon, at its challenge epoch."""
    SEAL_RANDOMNESS = 5
    """A seal's ticket; from tickets, so that a replica is tied to its chain."""
    INTERACTIVE_SEAL_CHALLENGE_SEED = 6
    """A seal's seed; from the beacon, some epochs after the pre-commit."""
    WINDOWED_POST_DEADLINE_ASSIGNMENT = 7
    """Not drawn by lotus or the actors of today."""
    MARKET_DEAL_CRON_SEED = 8
    """Not drawn by lotus or the actors of today."""
    POST_CHAIN_COMMIT = 9
    """What ties a submitted WindowPoSt to a chain; from tickets, without entropy."""


def draw_randomness(base: bytes, tag: int, round: int, entropy: bytes) -> bytes:
    """Return 32 bytes for `tag` at epoch `round`, from the ticket's or beacon entry's bytes `base`."""
    return draw_randomness_from_digest(randomness_digest(base), tag, round, entropy)


def randomness_digest(base: bytes) -> bytes:
    """Return what StateGetRandomnessDigest* return: the base before purpose and epoch are mixed in."""
    return hashlib.blake2b(base, digest_size=32).digest()


def draw_randomness_from_digest(digest: bytes, tag: int, round: int, entropy: bytes) -> bytes:
    """Return 32 bytes as `draw_randomness` does, from the digest of the base."""
    data = tag.to_bytes(8, "big", signed=True) + digest + round.to_bytes(8, "big", signed=True) + entropy
    return hashlib.blake2b(data, digest_size=32).digest()


def miner_entropy(miner: Address) -> bytes:
    """Return the entropy of most draws: the miner's ID address in CBOR."""
    return bytes_write(bytes(miner))
