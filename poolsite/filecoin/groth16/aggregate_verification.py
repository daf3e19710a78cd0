"""The check of an aggregate of Groth16 proofs.

Three things make it hold: the folded points are what the proofs were committed to (`_rounds_check`), the
folded keys come from the set-up (`_keys_check`), and the random combination of all pairing equations holds
(`_proofs_check`).

Source: filecoin-project/bellperson src/groth16/aggregate/verify.rs, which checks a random combination of all
equations at once; here each is checked by itself, so that the refusal names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from blspy import G1Element, G2Element, GTElement

from poolsite.filecoin.groth16.aggregate import BadAggregate, aggregate_decode, aggregate_size
from poolsite.filecoin.groth16.aggregate_challenges import Challenges, key_polynomial_at
from poolsite.filecoin.groth16.curve import g1_combination
from poolsite.filecoin.groth16.target import pairing_product, target_power
from poolsite.filecoin.groth16.verification import BadGroth16Proof, inputs_check
from poolsite.filecoin.scalars import SCALAR_MODULUS

if TYPE_CHECKING:
    from poolsite.filecoin.groth16.aggregate import Aggregate
    from poolsite.filecoin.groth16.powers import AggregateKey
    from poolsite.filecoin.groth16.verification import VerifyingKey


def aggregate_verify(
    key: VerifyingKey,
    data: bytes,
    *,
    setup: AggregateKey,
    inputs: Sequence[Sequence[int]],
    include: bytes,
) -> None:
    """Check an aggregate of the proofs of `inputs`, one list for each proof, without the padding.

    Raises BadAggregate, BadGroth16Proof for inputs of another circuit.
    """
    for proof_inputs in inputs:
        inputs_check(key, proof_inputs)
    aggregate = aggregate_decode(data)
    if not inputs or aggregate.proofs != aggregate_size(len(inputs)):
        raise BadAggregate(f"an aggregate of {aggregate.proofs} proofs for {len(inputs)}")
    # In the order in which the prover drew them: each hashes in all that came before it.
    challenges = Challenges(include)
    r = challenges.begin(aggregate.commitment_ab, aggregate.commitment_c)
    challenges.combine(aggregate.product_ab, aggregate.sum_c)
    for left, right in aggregate.rounds:
        challenges.round(left, right)
    _rounds_check(aggregate, challenges)
    _keys_check(aggregate, challenges, setup)
    _proofs_check(key, aggregate, inputs, r)


def _rounds_check(aggregate: Aggregate, challenges: Challenges) -> None:
    """Check that what is left after all rounds is what the proofs were committed to at first."""
    final, inverses = aggregate.final, challenges.inverses
    factors = [factor for inverse in inverses for factor in (pow(inverse, -1, SCALAR_MODULUS), inverse)]
    halves = [half for pair in aggregate.rounds for half in pair]

    def folded(start: GTElement, values: Sequence[GTElement]) -> GTElement:
        """Return `start` times the halves' values, left ones to the power x, right ones to 1 / x."""
        for value, factor in zip(values, factors, strict=True):
            start = start * target_power(value, factor)
        return start

    (v_alpha, v_beta), (w_alpha, w_beta) = final.key_v, final.key_w
    equations = (
        ("A and B", aggregate.product_ab, [half.product_ab for half in halves], (final.a,), (final.b,)),
        (
            "the commitment to A and B",
            aggregate.commitment_ab.alpha,
            [half.commitment_ab.alpha for half in halves],
            (final.a, w_alpha),
            (v_alpha, final.b),
        ),
        (
            "the commitment to A and B",
            aggregate.commitment_ab.beta,
            [half.commitment_ab.beta for half in halves],
            (final.a, w_beta),
            (v_beta, final.b),
        ),
        (
            "the commitment to C",
            aggregate.commitment_c.alpha,
            [half.commitment_c.alpha for half in halves],
            (final.c,),
            (v_alpha,),
        ),
        (
            "the commitment to C",
            aggregate.commitment_c.beta,
            [half.commitment_c.beta for half in halves],
            (final.c,),
            (v_beta,),
        ),
    )
    for name, start, values, left, right in equations:
        if folded(start, values) != pairing_product(left, right):
            raise BadAggregate(f"{name} do not hold after the last round")
    sum_c = g1_combination(aggregate.sum_c, [half.sum_c for half in halves], factors=factors)
    # C was weighed by 1, r, r² and so on; the rounds fold these weights into one number, as they fold C.
    scale = key_polynomial_at(1, inverses, shift=challenges.r)
    if sum_c != g1_combination(G1Element(), [final.c], factors=[scale]):
        raise BadAggregate("the sum of C does not hold after the last round")


def _keys_check(aggregate: Aggregate, challenges: Challenges, setup: AggregateKey) -> None:
    """Check that the keys that are left come from the set-up, by opening their polynomials at one point."""
    point = challenges.point(aggregate.rounds[-1], aggregate.final)
    inverses = challenges.inverses
    factors = [pow(inverse, -1, SCALAR_MODULUS) for inverse in inverses]
    value_v = key_polynomial_at(point, inverses, shift=1)
    # Keys w were divided by the powers of r by which B is weighed, and lie behind those of v, at the powers
    # n to 2n - 1 of the secret: hence 1 / r and the factor point^n.
    shift = pow(challenges.r, -1, SCALAR_MODULUS)
    value_w = key_polynomial_at(point, factors, shift=shift) * pow(point, aggregate.proofs, SCALAR_MODULUS)
    minus_g, minus_h = setup.g.negate(), setup.h.negate()
    at_g, at_h = _times_g1(minus_g, point), _times_g2(minus_h, point)
    openings_v = zip(aggregate.final.key_v, aggregate.opening_v, (setup.g_alpha, setup.g_beta), strict=True)
    for key_v, opening_v, power_g in openings_v:
        rest_v = key_v + _times_g2(minus_h, value_v)
        if setup.g.pair(rest_v) != (power_g + at_g).pair(opening_v):
            raise BadAggregate("a key v does not belong to the set-up")
    openings_w = zip(aggregate.final.key_w, aggregate.opening_w, (setup.h_alpha, setup.h_beta), strict=True)
    for key_w, opening_w, power_h in openings_w:
        rest_w = key_w + _times_g1(minus_g, value_w % SCALAR_MODULUS)
        if rest_w.pair(setup.h) != opening_w.pair(power_h + at_h):
            raise BadAggregate("a key w does not belong to the set-up")


def _proofs_check(key: VerifyingKey, aggregate: Aggregate, inputs: Sequence[Sequence[int]], r: int) -> None:
    """Check the combination of all proofs; the last one stands for the padding as well."""
    powers = [pow(r, index, SCALAR_MODULUS) for index in range(aggregate.proofs)]
    factors = [*powers[: len(inputs) - 1], sum(powers[len(inputs) - 1 :]) % SCALAR_MODULUS]
    totals = [
        sum(power * each[index] for power, each in zip(factors, inputs, strict=True)) % SCALAR_MODULUS
        for index in range(len(key.inputs))
    ]
    power_sum = sum(powers) % SCALAR_MODULUS
    public = g1_combination(G1Element(), (key.constant, *key.inputs), factors=(power_sum, *totals))
    right = public.pair(key.gamma) * aggregate.sum_c.pair(key.delta)
    if aggregate.product_ab != target_power(key.alpha_beta, power_sum) * right:
        raise BadGroth16Proof("the pairing equation does not hold for all of the proofs")


def _times_g1(point: G1Element, factor: int) -> G1Element:
    """Return factor · point."""
    return g1_combination(G1Element(), [point], factors=[factor])


def _times_g2(point: G2Element, factor: int) -> G2Element:
    """Return factor · point by doubling and adding."""
    total = G2Element()
    for bit in f"{factor:b}":
        total += total
        if bit == "1":
            total += point
    return total
