"""The stacked graph: each node has six DRG parents in its layer, eight expander parents in the one before.

Source: filecoin-project/rust-fil-proofs storage-proofs-core/src/drgraph.rs, crypto/feistel.rs;
storage-proofs-porep/src/stacked/vanilla/graph.rs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b, sha256

from poolsite.filecoin.chacha import chacha8_words
from poolsite.filecoin.porep.parameters import ApiVersion

DRG_PARENTS = 6
"""Parents in the same layer, the previous node among them."""

EXPANDER_PARENTS = 8
"""Parents in the layer before."""

SAMPLED_PARENTS = DRG_PARENTS - 1
"""Parents drawn by bucket sampling; also m' of the metagraph."""

FEISTEL_ROUNDS = 3
"""Rounds of the permutation, one key each."""


@dataclass(frozen=True, slots=True)
class StackedGraph:
    """The graph of one proof's porep_id over `nodes` nodes."""

    porep_id: bytes
    """Separates the graphs of the proof generations."""
    nodes: int
    """Nodes of one layer."""
    api_version: ApiVersion
    """1.0.0 has another parent order and truncates expander indices."""

    def parents(self, node: int) -> tuple[int, ...]:
        """Return the 14 parents of `node` in hashing order: DRG, then expander."""
        return (*self.drg_parents(node), *self.expander_parents(node))

    def drg_parents(self, node: int) -> tuple[int, ...]:
        """Return the six DRG parents; nodes 0 and 1 have node 0 six times.

        Source: drgraph.rs BucketGraph::parents (bucket sampling of DRSample).
        """
        if node < 2:
            return (0,) * DRG_PARENTS
        # The node's number fills ChaCha's key of 32 bytes: each node draws from a stream of its own.
        seed = sha256(b"Filecoin_DRSample" + self.porep_id).digest()[:28]
        words = chacha8_words(seed + struct.pack("<I", node))
        # DRSample gives each node one parent; in a metagraph of five nodes for each of ours it gives us five.
        meta_node = node * SAMPLED_PARENTS
        buckets = (meta_node - 1).bit_length()
        sampled = []
        for _ in range(SAMPLED_PARENTS):
            bucket = _next_u64(words) % buckets + 1
            largest = min(meta_node, 1 << bucket)
            smallest = max(2, largest >> 1)
            distance = smallest + _next_u64(words) % (largest - smallest + 1)
            parent = (meta_node - distance) // SAMPLED_PARENTS
            # An edge between two of its own five would make a node its own parent.
            sampled.append(node - 1 if parent == node else parent)
        if self.api_version is ApiVersion.V1_0:
            return (*sampled, node - 1)
        return (node - 1, *sampled)

    def expander_parents(self, node: int) -> tuple[int, ...]:
        """Return the eight expander parents, drawn by a permutation of all parent slots.

        Each node has eight slots as a child and eight as a parent; the permutation joins them, so that each
        node is a parent exactly eight times.  Source: graph.rs generate_expanded_parents.
        """
        keys = feistel_keys(self.porep_id)[:FEISTEL_ROUNDS]
        slots = self.nodes * EXPANDER_PARENTS
        half_bits = feistel_half_bits(slots)
        parents = []
        for slot in range(node * EXPANDER_PARENTS, (node + 1) * EXPANDER_PARENTS):
            other = _feistel(slot, keys, half_bits=half_bits)
            # It permutes a power of four: whatever leads out of the graph goes on until it is back.
            while other >= slots:
                other = _feistel(other, keys, half_bits=half_bits)
            if self.api_version is ApiVersion.V1_0:
                other &= 0xFFFFFFFF  # matters above 4 GiB only
            parents.append(other // EXPANDER_PARENTS)
        return tuple(parents)


def feistel_keys(porep_id: bytes) -> tuple[int, ...]:
    """Return the four keys of the permutation; the fourth only enters the name of the parent cache file."""
    return struct.unpack("<4Q", sha256(b"Filecoin_Feistel" + porep_id).digest())


def feistel_half_bits(slots: int) -> int:
    """Return the bits of one half: the least h ≥ 1 with 4^h ≥ slots."""
    half_bits = 1
    while 1 << 2 * half_bits < slots:
        half_bits += 1
    return half_bits


def _feistel(index: int, keys: tuple[int, ...], *, half_bits: int) -> int:
    """Return the index after one pass of the Feistel network, one round for each key.

    Any function of the right half makes it a permutation; here it is BLAKE2b, cut to the half's bits.
    """
    mask = (1 << half_bits) - 1
    left, right = index >> half_bits & mask, index & mask
    for key in keys:
        digest = blake2b(struct.pack(">QQ", right, key)).digest()
        left, right = right, left ^ int.from_bytes(digest[:8], "big") & mask
    return left << half_bits | right


def _next_u64(words: Iterator[int]) -> int:
    """Return the next two words of the generator as one number, the lower half first."""
    return next(words) | next(words) << 32
