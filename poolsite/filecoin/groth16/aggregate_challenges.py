"""The challenges of an aggregate of proofs, drawn from a transcript of its parts.

Who proves and who verifies hash the same parts in the same order: each challenge depends on all that was
committed to before it, so that none can be known in advance (Fiat-Shamir).

Source: filecoin-project/bellperson src/groth16/aggregate/{transcript,prove,verify}.rs.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.groth16.target import target_bytes
from poolsite.filecoin.scalars import SCALAR_MODULUS, scalar_to_bytes

if TYPE_CHECKING:
    from blspy import G1Element, GTElement

    from poolsite.filecoin.groth16.aggregate import Commitment, FinalPoints, Half

_PREFIX: Final = b"snarkpack-v1"
"""First bytes of each hash; version 2 of SnarkPack has kept it."""


@dataclass(slots=True)
class Challenges:
    """The challenges of one aggregate, each asked in its turn by who proves and by who verifies."""

    include: bytes
    """What the proofs are about, hashed: see `porep_include`."""
    r: int = 0
    """Factor of the combination of all proofs."""
    inverses: tuple[int, ...] = ()
    """1 / x of each round."""
    _first: int = 0
    """Challenge drawn from the commitments to all proofs; 0 before `begin`."""
    _last: int = 0
    """Challenge of the round before, which the next one hashes in; 0 before `combine`."""

    def begin(self, ab: Commitment, c: Commitment) -> int:
        """Return r for the commitments to the proofs."""
        self._first = _challenge("hcom", map(target_bytes, (*ab, *c)))
        # bincode writes a slice with its length before it
        include = struct.pack("<Q", len(self.include)) + self.include
        self.r = _challenge("random-r", (scalar_to_bytes(self._first), include))
        return self.r

    def combine(self, product_ab: GTElement, sum_c: G1Element) -> None:
        """Hash the combination of all proofs in, before the first round."""
        parts = (
            scalar_to_bytes(self._first),
            target_bytes(product_ab),
            bytes(sum_c),
            scalar_to_bytes(self.r),
        )
        self._last = _challenge("gipa-0", parts)

    def round(self, left: Half, right: Half) -> int:
        """Return 1 / x of the next round of halving."""
        self._last = _challenge(
            f"gipa-{len(self.inverses)}", (scalar_to_bytes(self._last), *_round_parts(left, right))
        )
        self.inverses += (self._last,)
        return self._last

    def point(self, last: tuple[Half, Half], final: FinalPoints) -> int:
        """Return the point at which the keys are opened."""
        abc = tuple(map(bytes, (final.a, final.b, final.c)))
        x = pow(self._last, -1, SCALAR_MODULUS)
        link = _challenge("gipa-extra-link", (scalar_to_bytes(x), *abc, *_round_parts(*last)))
        keys = map(bytes, (*final.key_v, *final.key_w))
        return _challenge("random-z", (scalar_to_bytes(link), *keys, *abc))


def _round_parts(left: Half, right: Half) -> list[bytes]:
    """Return what the challenge of a round is drawn from, in the order of bellperson's transcript."""
    targets = (
        *left.commitment_ab,
        *right.commitment_ab,
        *left.commitment_c,
        *right.commitment_c,
    )
    return [
        target_bytes(left.product_ab),
        target_bytes(right.product_ab),
        bytes(left.sum_c),
        bytes(right.sum_c),
        *map(target_bytes, targets),
    ]


def _challenge(tag: str, parts: Iterable[bytes]) -> int:
    """Return a scalar that is neither 0 nor 1, from a hash that grows by a counter until it is one."""
    hasher = hashlib.sha256(_PREFIX + tag.encode() + b"".join(parts))
    number = value = 0
    while not 1 < value < SCALAR_MODULUS:
        number += 1
        hasher.update(number.to_bytes(8, "big"))
        digest = hasher.digest()
        # Cut to 255 bits, as many as the modulus has, so that few draws are in vain.
        value = int.from_bytes(digest[:31] + bytes((digest[31] & 0x7F,)), "little")
    return value


def key_polynomial_at(point: int, factors: Sequence[int], *, shift: int) -> int:
    """Return Π (1 + factor · (shift · point)^(2^j)), the last round's factor first (j = 0).

    Its coefficients are the multiples of the keys that all rounds together have made.
    """
    power, result = point * shift % SCALAR_MODULUS, 1
    for factor in reversed(factors):
        result = result * (1 + factor * power) % SCALAR_MODULUS
        power = power * power % SCALAR_MODULUS
    return result


def porep_include(comm_rs: Sequence[bytes], *, seeds: Sequence[bytes] | None) -> bytes:
    """Return what an aggregate of PoReps is about: each sector's seed and comm_r; NI-PoRep has no seeds.

    Source: filecoin-project/rust-fil-proofs filecoin-proofs/src/api/seal.rs aggregate_seal_commit_proofs.
    """
    if seeds is None:
        return hashlib.sha256(b"".join(comm_rs)).digest()
    pairs = zip(seeds, comm_rs, strict=True)
    return hashlib.sha256(b"".join(seed + comm_r for seed, comm_r in pairs)).digest()
