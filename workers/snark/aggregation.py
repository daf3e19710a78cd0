"""Making one aggregate of many Groth16 proofs (SnarkPack, version 2).

Source: filecoin-project/bellperson src/groth16/aggregate/prove.rs; the bytes are the same.
Halves of points and of keys are joined round by round with a challenge, until one of each is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from blspy import G1Element, G2Element

from poolsite.filecoin.groth16.aggregate import (
    Aggregate,
    Commitment,
    FinalPoints,
    Half,
    aggregate_encode,
    aggregate_size,
)
from poolsite.filecoin.groth16.aggregate_challenges import Challenges
from poolsite.filecoin.groth16.curve import G1_BYTES, G2_BYTES
from poolsite.filecoin.groth16.verification import proof_points
from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels.field import WORD_BITS, limbs
from workers.snark.arrays import silent
from workers.snark.multiexp import SCALAR_BITS, multiexp
from workers.snark.pairings import rows_pairing_product
from workers.snark.points import G1, G2, point_compress, points_decompress

if TYPE_CHECKING:
    from workers.snark.arrays import Progress, Words
    from workers.snark.points import Group
    from workers.snark.powers import Powers


@dataclass(frozen=True, slots=True)
class _Points:
    """Points of one group."""

    group: Group
    rows: Words

    def __len__(self) -> int:
        return len(self.rows)

    def only(self) -> G1Element | G2Element:
        """Return the one point that is left."""
        (row,) = self.rows
        return _element(self.group, row)

    def halves(self) -> tuple[_Points, _Points]:
        at = len(self) // 2
        return (
            _Points(self.group, self.rows[:at]),
            _Points(self.group, self.rows[at:]),
        )


@dataclass(slots=True)
class _Folded:
    """Proofs and keys, halved round by round."""

    a: _Points
    b: _Points
    c: _Points
    r: list[int]
    v: tuple[_Points, _Points]
    w: tuple[_Points, _Points]

    def final(self) -> FinalPoints:
        """Return what is left after the last round."""
        return FinalPoints(
            self.a.only(),
            self.b.only(),
            self.c.only(),
            (self.v[0].only(), self.v[1].only()),
            (self.w[0].only(), self.w[1].only()),
        )


def proofs_aggregate(
    proofs: Sequence[bytes], *, powers: Powers, include: bytes, threads: int = 1, progress: Progress = silent
) -> bytes:
    """Return the aggregate of proofs of one circuit, the last one repeated up to a power of two.

    `progress` is called with the rounds done and their number; what it raises stops the work.  Raises
    BadGroth16Proof, ValueError for powers of another number of proofs.
    """
    for proof in proofs:
        proof_points(proof)
    size = aggregate_size(len(proofs))
    if powers.proofs != size:
        raise ValueError(f"the powers are for {powers.proofs} proofs, but {size} are aggregated")
    padded = [*proofs, *[proofs[-1]] * (size - len(proofs))]
    a, b, c = _parts(padded)
    v = _Points(G2, powers.h_alpha), _Points(G2, powers.h_beta)
    w = _Points(G1, powers.g_alpha[size:]), _Points(G1, powers.g_beta[size:])

    challenges = Challenges(include)
    commitment_ab = _commitment_ab(a, b, v, w)
    commitment_c = _commitment_c(c, v)
    r = challenges.begin(commitment_ab, commitment_c)
    r_powers, inverse_powers = (_powers_of(value, size) for value in (r, pow(r, -1, SCALAR_MODULUS)))
    b = _Points(G2, _scaled(G2, b.rows, r_powers))
    product_ab = rows_pairing_product(a.rows, b.rows)
    sum_c = _sum(c, r_powers, threads=threads)
    challenges.combine(product_ab, sum_c)
    w_scaled = tuple(_Points(G1, _scaled(G1, key.rows, inverse_powers)) for key in w)
    folded = _Folded(a, b, c, r_powers, v, (w_scaled[0], w_scaled[1]))
    rounds = []
    total = size.bit_length() - 1
    while len(folded.a) > 1:
        rounds.append(_fold(folded, challenges, threads=threads))
        progress(len(rounds), total)
    final = folded.final()
    point = challenges.point(rounds[-1], final)
    # Each final key is a polynomial of its secret, known from the challenges: `_fold` joined v by their
    # inverses and w by themselves; w begins at the power `size`, scaled by the powers of 1/r.
    factors = [pow(inverse, -1, SCALAR_MODULUS) for inverse in challenges.inverses]
    polynomial_v = _key_polynomial(challenges.inverses, shift=1)
    polynomial_w = [0] * size + _key_polynomial(factors, shift=pow(r, -1, SCALAR_MODULUS))
    openings = [
        (
            _opening(group, alpha, polynomial, point, threads=threads),
            _opening(group, beta, polynomial, point, threads=threads),
        )
        for group, polynomial, alpha, beta in (
            (G2, polynomial_v, powers.h_alpha, powers.h_beta),
            (G1, polynomial_w, powers.g_alpha, powers.g_beta),
        )
    ]
    return aggregate_encode(
        Aggregate(
            commitment_ab, commitment_c, product_ab, sum_c, tuple(rounds), final, openings[0], openings[1]
        )
    )


def _parts(proofs: Sequence[bytes]) -> tuple[_Points, _Points, _Points]:
    """Return the points A, B and C of proofs."""
    middle, end = G1_BYTES + G2_BYTES, 2 * G1_BYTES + G2_BYTES
    return (
        _decoded(G1, [proof[:G1_BYTES] for proof in proofs]),
        _decoded(G2, [proof[G1_BYTES:middle] for proof in proofs]),
        _decoded(G1, [proof[middle:end] for proof in proofs]),
    )


def _decoded(group: Group, points: list[bytes]) -> _Points:
    return _Points(group, points_decompress(group, b"".join(points)))


def _commitment_ab(
    a: _Points, b: _Points, v: tuple[_Points, _Points], w: tuple[_Points, _Points]
) -> Commitment:
    return Commitment(
        *(
            rows_pairing_product(np.concatenate([a.rows, own_w.rows]), np.concatenate([own_v.rows, b.rows]))
            for own_v, own_w in zip(v, w, strict=True)
        )
    )


def _commitment_c(c: _Points, v: tuple[_Points, _Points]) -> Commitment:
    return Commitment(*(rows_pairing_product(c.rows, own.rows) for own in v))


def _fold(folded: _Folded, challenges: Challenges, *, threads: int) -> tuple[Half, Half]:
    """Join the halves of proofs and keys; return what each half commits to with the other's keys."""
    at = len(folded.a) // 2
    (a_left, a_right), (b_left, b_right) = folded.a.halves(), folded.b.halves()
    c_left, c_right = folded.c.halves()
    (v_left, v_right), (w_left, w_right) = _halves(folded.v), _halves(folded.w)
    left = Half(
        _commitment_ab(a_right, b_left, v_left, w_right),
        _commitment_c(c_right, v_left),
        rows_pairing_product(a_right.rows, b_left.rows),
        _sum(c_right, folded.r[:at], threads=threads),
    )
    right = Half(
        _commitment_ab(a_left, b_right, v_right, w_left),
        _commitment_c(c_left, v_right),
        rows_pairing_product(a_left.rows, b_right.rows),
        _sum(c_left, folded.r[at:], threads=threads),
    )
    inverse = challenges.round(left, right)
    x = pow(inverse, -1, SCALAR_MODULUS)
    folded.a, folded.b = _joined(a_left, a_right, x), _joined(b_left, b_right, inverse)
    folded.c = _joined(c_left, c_right, x)
    folded.r = [
        (one + other * inverse) % SCALAR_MODULUS
        for one, other in zip(folded.r[:at], folded.r[at:], strict=True)
    ]
    folded.v = (
        _joined(v_left[0], v_right[0], inverse),
        _joined(v_left[1], v_right[1], inverse),
    )
    folded.w = _joined(w_left[0], w_right[0], x), _joined(w_left[1], w_right[1], x)
    return left, right


def _halves(
    keys: tuple[_Points, _Points],
) -> tuple[tuple[_Points, _Points], tuple[_Points, _Points]]:
    (alpha_left, alpha_right), (beta_left, beta_right) = keys[0].halves(), keys[1].halves()
    return (alpha_left, beta_left), (alpha_right, beta_right)


def _joined(left: _Points, right: _Points, factor: int) -> _Points:
    """Return left + factor · right."""
    group, path = left.group, left.group.path
    points = np.concatenate([left.rows, _scaled(group, right.rows, [factor] * len(right))])
    rows, own = path.rows_of(points, np.arange(len(points), dtype=np.uint32))
    out = path.rows_empty(len(left))
    path.add_pairs(rows, own[: len(left)], own[len(left) :], out, own[: len(left)])
    return _Points(group, path.points_of(out))


def _scaled(group: Group, points: Words, factors: Sequence[int]) -> Words:
    """Return factor · point, each with its own: all at once from the highest bit down."""
    bits, path = limbs(factors, bits=WORD_BITS, montgomery=False), group.path
    both = np.concatenate([np.zeros_like(points), points])
    rows, places = path.rows_of(both, np.arange(len(both), dtype=np.uint32))
    own = places[: len(points)]
    for bit in range(SCALAR_BITS - 1, -1, -1):
        path.add_pairs(rows, own, own, rows, own)
        chosen = own[(bits[:, bit // WORD_BITS] >> np.uint64(bit % WORD_BITS) & np.uint64(1)).astype(bool)]
        path.add_pairs(rows, chosen, chosen + np.uint32(len(points)), rows, chosen)
    return path.points_of(rows[: len(points)]).copy()


def _sum(points: _Points, factors: Sequence[int], *, threads: int) -> G1Element:
    return _combination(G1, points.rows, factors, threads=threads)


def _combination(group: Group, rows: Words, factors: Sequence[int], *, threads: int) -> G1Element | G2Element:
    scalars = limbs(factors, bits=WORD_BITS, montgomery=False)
    return _element(group, multiexp(group, rows, scalars, threads=threads))


def _element(group: Group, row: Words) -> G1Element | G2Element:
    kind = G1Element if group is G1 else G2Element
    return kind.from_bytes(point_compress(group, row))


def _powers_of(value: int, count: int) -> list[int]:
    powers = [1]
    while len(powers) < count:
        powers.append(powers[-1] * value % SCALAR_MODULUS)
    return powers


def _key_polynomial(factors: Sequence[int], *, shift: int) -> list[int]:
    """Return the coefficients of what `key_polynomial_at` gives the values of."""
    coefficients, power = [1], shift
    for factor in reversed(factors):
        step = factor * power % SCALAR_MODULUS
        coefficients += [value * step % SCALAR_MODULUS for value in coefficients]
        power = power * power % SCALAR_MODULUS
    return coefficients


def _opening(
    group: Group, powers: Words, polynomial: Sequence[int], point: int, *, threads: int
) -> G1Element | G2Element:
    """Return the quotient of polynomial(X) - polynomial(point) by X - point, at the secret."""
    quotient, carried = [0] * (len(polynomial) - 1), 0
    for place in range(len(polynomial) - 1, 0, -1):
        carried = (polynomial[place] + carried * point) % SCALAR_MODULUS
        quotient[place - 1] = carried
    return _combination(group, powers[: len(quotient)], quotient, threads=threads)
