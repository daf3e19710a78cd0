"""The Poseidon gadget.

Source: argumentcomputer/neptune src/circuit.rs poseidon_hash (the legacy gadget, which all circuits of the
proofs use), constants in the optimised form of `poolsite.filecoin.poseidon`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from poolsite.filecoin.poseidon import FULL_ROUNDS, poseidon_constants
from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.snark.constraints import ONE
from workers.snark.gadgets.numbers import add_to, number_of

if TYPE_CHECKING:
    from poolsite.filecoin.poseidon import Matrix
    from workers.snark.constraints import Combination
    from workers.snark.part_builder import PartBuilder


def poseidon(part: PartBuilder, numbers: Sequence[int], *, tag: int | None = None) -> int:
    """Return the hash of 2, 4, 8 or 11 numbers; without a tag that of tree nodes and columns."""
    domain = (1 << len(numbers)) - 1 if tag is None else tag
    (digest,) = part.apply(
        ("poseidon", len(numbers), domain), numbers, lambda inner, outer: (_poseidon(inner, outer, domain),)
    )
    return int(digest)


def _poseidon(part: PartBuilder, numbers: list[int], domain: int) -> int:
    constants = poseidon_constants(len(numbers))
    width, half = len(numbers) + 1, FULL_ROUNDS // 2
    before, keys = constants.compressed[:width], iter(constants.compressed[width:])
    # the domain tag is a constant, so its first S-box costs nothing
    state: list[Combination] = [{ONE: pow(domain + before[0], 5, SCALAR_MODULUS) + next(keys)}]
    state += [
        _first_sbox(part, number, key, next(keys)) for number, key in zip(numbers, before[1:], strict=True)
    ]
    state = _times(state, constants.mds)
    for number in range(1, half):
        state = _full_round(part, state, keys)
        state = _times(state, constants.mds if number < half - 1 else constants.pre_sparse)
    for w_hat, v_rest in constants.sparse:
        head = _sbox(part, state[0], next(keys))
        first: Combination = {}
        for weight, element in zip(w_hat, [head, *state[1:]], strict=True):
            add_to(first, element, weight)
        rest = [add_to(dict(element), head, v) for element, v in zip(state[1:], v_rest, strict=True)]
        state = [_reduced(element) for element in (first, *rest)]
    for _ in range(half - 1):
        state = _times(_full_round(part, state, keys), constants.mds)
    state = _times([_sbox(part, element, 0) for element in state], constants.mds)
    return number_of(part, state[1])


def _reduced(combination: Combination) -> Combination:
    return {code: coefficient % SCALAR_MODULUS for code, coefficient in combination.items()}


def _full_round(part: PartBuilder, state: list[Combination], keys: Iterator[int]) -> list[Combination]:
    return [_sbox(part, element, next(keys)) for element in state]


def _times(row: list[Combination], columns: Matrix) -> list[Combination]:
    """Return the row vector times the matrix whose columns are given."""
    out = []
    for column in columns:
        total: Combination = {}
        for element, weight in zip(row, column, strict=True):
            add_to(total, element, weight)
        out.append(_reduced(total))
    return out


def _first_sbox(part: PartBuilder, number: int, before: int, after: int) -> Combination:
    """Return (number + before)^5 + after."""
    keyed = {number: 1, ONE: before}
    square, fourth, fifth = part.aux_new(), part.aux_new(), part.aux_new()
    part.enforce(keyed, keyed, {square: 1}, solved=square)
    part.enforce({square: 1}, {square: 1}, {fourth: 1}, solved=fourth)
    part.enforce(keyed, {fourth: 1}, {fifth: 1, ONE: -after}, solved=fifth)
    return {fifth: 1}


def _sbox(part: PartBuilder, element: Combination, after: int) -> Combination:
    """Return element^5 + after."""
    base = number_of(part, element)
    square, fourth, fifth = part.aux_new(), part.aux_new(), part.aux_new()
    part.enforce({base: 1}, {base: 1}, {square: 1}, solved=square)
    part.enforce({square: 1}, {square: 1}, {fourth: 1}, solved=fourth)
    part.enforce({base: 1}, {fourth: 1}, {fifth: 1, ONE: -after}, solved=fifth)
    return {fifth: 1}
