"""An aggregate of Groth16 proofs (SnarkPack, version 2): its parts, its bytes, its challenges.

2^n proofs are folded in n rounds: each commits to one half of the points with the keys of the other half,
draws a challenge from that, and adds the halves with it, until one point of each kind is left.  So the
aggregate grows with the logarithm of the proofs.  Its bytes, pairings compressed to 288 each:

    commitments to A and B, to C    2 x 2 pairings
    product of A and B, sum of C    1 pairing, 1 point of G1
    number of proofs                u32, little-endian
    of each round                   2 x (2 + 2 + 1) pairings, 2 points of G1; all rounds of one kind together
    last points A, B, C             G1, G2, G1
    last keys v and w, openings     twice: 2 points of G2, 2 of G1

Source: filecoin-project/bellperson src/groth16/aggregate/{proof,prove,transcript}.rs; FIP-0013.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from poolsite.filecoin.groth16.curve import (
    G1_BYTES,
    G2_BYTES,
    BadPoint,
    g1_from_compressed,
    g2_from_compressed,
)
from poolsite.filecoin.groth16.target import TARGET_BYTES, target_compress, target_decompress

if TYPE_CHECKING:
    from blspy import G1Element, G2Element, GTElement

MIN_PROOFS: Final = 2
"""A single proof is repeated once.  Source: rust-fil-proofs filecoin-proofs/src/api/util.rs
get_aggregate_target_len."""
MAX_PROOFS: Final = 1 << 19
"""Proofs that an aggregate can hold: half of the powers of the network's set-up."""

_FINAL_POINTS: Final = 2 * G1_BYTES + G2_BYTES + 2 * (2 * G2_BYTES + 2 * G1_BYTES)
"""Bytes behind the rounds: A and C in G1, B in G2, then the keys (two in G2, two in G1) and their openings
(the same)."""
_ROUND_BYTES: Final = 10 * TARGET_BYTES + 2 * G1_BYTES
"""Bytes of one round: for its left and its right half two commitments of two pairings each and a product,
and a sum in G1."""


class BadAggregate(ValueError):
    """An aggregate that cannot be read, or does not hold for its public inputs."""


class Commitment(NamedTuple):
    """A commitment to points, once with each of the two secrets of the set-up."""

    alpha: GTElement
    """By the keys of the powers of alpha."""
    beta: GTElement
    """By the keys of the powers of beta."""


@dataclass(frozen=True, slots=True)
class Half:
    """What one half of the points commits to with the other half's keys, in one round of halving."""

    commitment_ab: Commitment
    """To points A by keys v, and points B by keys w."""
    commitment_c: Commitment
    """To points C by keys v."""
    product_ab: GTElement
    """Π e(A, B)."""
    sum_c: G1Element
    """Σ r · C."""


@dataclass(frozen=True, slots=True)
class FinalPoints:
    """What is left of proofs and keys when all rounds have halved them."""

    a: G1Element
    """All A, folded into one."""
    b: G2Element
    """All B, folded into one."""
    c: G1Element
    """All C, folded into one."""
    key_v: tuple[G2Element, G2Element]
    """Folded keys of A and C: by alpha, by beta."""
    key_w: tuple[G1Element, G1Element]
    """Folded keys of B: by alpha, by beta."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Proofs of one circuit in one."""

    commitment_ab: Commitment
    """To all A and B."""
    commitment_c: Commitment
    """To all C."""
    product_ab: GTElement
    """Π e(A, r^i B)."""
    sum_c: G1Element
    """Σ r^i C."""
    rounds: tuple[tuple[Half, Half], ...]
    """Left and right of each halving, the first one first."""
    final: FinalPoints
    """After the last halving."""
    opening_v: tuple[G2Element, G2Element]
    """KZG openings that show `final.key_v` to be folded right: by alpha, by beta."""
    opening_w: tuple[G1Element, G1Element]
    """The same for `final.key_w`."""

    @property
    def proofs(self) -> int:
        """Return how many proofs it holds, a power of two."""
        return 1 << len(self.rounds)


def aggregate_bytes(rounds: int) -> int:
    """Return how many bytes an aggregate of 2^rounds proofs has."""
    return 5 * TARGET_BYTES + G1_BYTES + 4 + rounds * _ROUND_BYTES + _FINAL_POINTS


def aggregate_size(proofs: int) -> int:
    """Return of how many proofs the aggregate of `proofs` is made: the next power of two, at least 2.

    The missing ones are copies of the last proof.
    """
    return max(MIN_PROOFS, 1 << (proofs - 1).bit_length())


def aggregate_encode(aggregate: Aggregate) -> bytes:
    """Return an aggregate as the actors take it.  Raises BadPoint for one with a trivial pairing."""
    rounds = aggregate.rounds
    final = aggregate.final
    head = (*aggregate.commitment_ab, *aggregate.commitment_c, aggregate.product_ab)
    parts = [
        *map(target_compress, head),
        bytes(aggregate.sum_c),
        struct.pack("<I", aggregate.proofs),
        *(target_compress(one) for pair in rounds for half in pair for one in half.commitment_ab),
        *(target_compress(one) for pair in rounds for half in pair for one in half.commitment_c),
        *(target_compress(half.product_ab) for pair in rounds for half in pair),
        *(bytes(half.sum_c) for pair in rounds for half in pair),
        *map(bytes, (final.a, final.b, final.c, *final.key_v, *final.key_w)),
        *map(bytes, (*aggregate.opening_v, *aggregate.opening_w)),
    ]
    return b"".join(parts)


class _Reader:
    """Reads the parts of an aggregate one after the other; its length has been checked before."""

    def __init__(self, data: bytes) -> None:
        """Begin at the first byte."""
        self._data = memoryview(data)
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        self._at += size
        return bytes(self._data[self._at - size : self._at])

    def target(self) -> GTElement:
        """Read a compressed element of the target group.  Raises BadPoint unless it is in the group."""
        return target_decompress(self.take(TARGET_BYTES))

    def commitment(self) -> Commitment:
        """Read a commitment: by alpha, then by beta.  Raises BadPoint."""
        return Commitment(self.target(), self.target())

    def g1(self) -> G1Element:
        """Read a compressed point of G1.  Raises BadPoint."""
        return g1_from_compressed(self.take(G1_BYTES))

    def g2(self) -> G2Element:
        """Read a compressed point of G2.  Raises BadPoint."""
        return g2_from_compressed(self.take(G2_BYTES))


def aggregate_decode(data: bytes) -> Aggregate:
    """Read an aggregate; all points are checked to be in their groups.  Raises BadAggregate."""
    at = aggregate_bytes(0) - _FINAL_POINTS
    if len(data) < at:
        raise BadAggregate(f"{len(data)} bytes are not an aggregate")
    (proofs,) = struct.unpack_from("<I", data, at - 4)
    rounds = range(proofs.bit_length() - 1)
    if not MIN_PROOFS <= proofs <= MAX_PROOFS or proofs != 1 << len(rounds):
        raise BadAggregate(f"an aggregate of {proofs} proofs: their number must be a power of two")
    if len(data) != aggregate_bytes(len(rounds)):
        raise BadAggregate(f"{len(data)} bytes for {proofs} proofs, not {aggregate_bytes(len(rounds))}")
    try:
        return _read(_Reader(data), rounds)
    except BadPoint as error:
        raise BadAggregate(f"bad point: {error}") from None


def _read(reader: _Reader, rounds: range) -> Aggregate:
    """Return an aggregate whose length fits its rounds.  Raises BadPoint."""
    commitment_ab, commitment_c = reader.commitment(), reader.commitment()
    product_ab, sum_c = reader.target(), reader.g1()
    reader.take(4)
    each_ab = [(reader.commitment(), reader.commitment()) for _ in rounds]
    each_c = [(reader.commitment(), reader.commitment()) for _ in rounds]
    products = [(reader.target(), reader.target()) for _ in rounds]
    sums = [(reader.g1(), reader.g1()) for _ in rounds]
    final = FinalPoints(
        reader.g1(), reader.g2(), reader.g1(), (reader.g2(), reader.g2()), (reader.g1(), reader.g1())
    )
    return Aggregate(
        commitment_ab,
        commitment_c,
        product_ab,
        sum_c,
        tuple(
            (Half(ab[0], c[0], product[0], total[0]), Half(ab[1], c[1], product[1], total[1]))
            for ab, c, product, total in zip(each_ab, each_c, products, sums, strict=True)
        ),
        final,
        (reader.g2(), reader.g2()),
        (reader.g1(), reader.g1()),
    )
