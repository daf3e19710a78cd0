"""PoRep challenges: which nodes a sector's proof must open.

Three rules, by the seal proof.  Interactive: the chain's seed, drawn after the pre-commit, chooses among all
nodes.  Synthetic: 2^18 nodes follow from the replica, and the seed chooses among those, so that the layers
can be deleted once proofs of these are made.  Non-interactive: the replica alone chooses, of so many nodes
that trying out replicas does not pay.

Source: filecoin-project/rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/challenges.rs; FIP-0059
(synthetic), FIP-0090 and FIP-0092 (non-interactive).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b, sha256

from poolsite.filecoin.chacha import chacha20_keystream
from poolsite.filecoin.porep.parameters import SYNTHETIC_CHALLENGES, ChallengeRule, SealParameters
from poolsite.filecoin.scalars import NODE_BYTES

NON_INTERACTIVE_PREFIX = b"filecoin.io|PoRep|1|NonInteractive|1"
"""Separates non-interactive challenges."""

GENERATION_KEY = b"filecoin.io|PoRep|1|Synthetic|1|Generation"
"""BLAKE2b key under which the synthetic set is drawn."""

SELECTION_KEY = b"filecoin.io|PoRep|1|Synthetic|1|Selection"
"""BLAKE2b key under which challenges are chosen out of the set."""

SYNTHETIC_NONCE = b"synth-porep\0"
"""Nonce of the ChaCha20 keystream."""


@dataclass(frozen=True, slots=True)
class ChallengeSource:
    """What challenges are drawn from."""

    replica_id: bytes
    """Id of the replica."""
    comm_r: bytes
    """Commitment to the replica; enters synthetic and non-interactive challenges."""
    seed: bytes
    """Interactive randomness; unused by non-interactive challenges."""


def porep_challenges(
    parameters: SealParameters, source: ChallengeSource, *, partition: int
) -> tuple[int, ...]:
    """Return the challenges of one partition under the rule of the seal proof, in their order.

    Challenge i of partition k has the number k · challenges + i, so that no two of a sector are drawn alike;
    a node may still be challenged twice.
    """
    first = parameters.challenges * partition
    numbers = range(first, first + parameters.challenges)
    if parameters.rule is ChallengeRule.INTERACTIVE:
        return tuple(
            _challenge(_digest(source.replica_id + source.seed, number), parameters.nodes)
            for number in numbers
        )
    if parameters.rule is ChallengeRule.NON_INTERACTIVE:
        drawn_from = NON_INTERACTIVE_PREFIX + source.replica_id + source.comm_r
        return tuple(_challenge(_digest(drawn_from, number), parameters.nodes) for number in numbers)
    chosen = synthetic_indices(parameters, source, partition=partition)
    return tuple(
        synthetic_challenges(parameters.nodes, source, indices=range(index, index + 1))[0] for index in chosen
    )


def synthetic_count(nodes: int) -> int:
    """Return the size of the synthetic set of a sector."""
    return min(nodes, SYNTHETIC_CHALLENGES)


def synthetic_challenges(nodes: int, source: ChallengeSource, *, indices: range) -> tuple[int, ...]:
    """Return the challenges of the synthetic set at `indices`."""
    key = blake2b(source.replica_id + source.comm_r, digest_size=32, key=GENERATION_KEY).digest()
    start, length = NODE_BYTES * indices.start, NODE_BYTES * len(indices)
    stream = chacha20_keystream(key, SYNTHETIC_NONCE, start=start, length=length)
    return tuple(_challenge(stream[at : at + NODE_BYTES], nodes) for at in range(0, length, NODE_BYTES))


def synthetic_indices(
    parameters: SealParameters, source: ChallengeSource, *, partition: int
) -> tuple[int, ...]:
    """Return which challenges of the synthetic set the seed chooses for one partition."""
    key = blake2b(source.replica_id + source.seed, digest_size=32, key=SELECTION_KEY).digest()
    count = parameters.challenges
    stream = chacha20_keystream(key, SYNTHETIC_NONCE, start=4 * count * partition, length=4 * count)
    return tuple(index % synthetic_count(parameters.nodes) for index in struct.unpack(f"<{count}I", stream))


def _digest(drawn_from: bytes, number: int) -> bytes:
    """Return SHA-256 of what challenges are drawn from and a challenge's number (u32, little-endian)."""
    return sha256(drawn_from + struct.pack("<I", number)).digest()


def _challenge(digest: bytes, nodes: int) -> int:
    """Return the node for 32 random bytes; node 0 is never challenged."""
    return int.from_bytes(digest, "little") % (nodes - 1) + 1
