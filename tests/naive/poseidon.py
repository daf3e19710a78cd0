"""Poseidon in its plain form: round constants from the Grain register, a Cauchy matrix, dense rounds."""

from __future__ import annotations

import functools

from tests.naive.field import MODULUS

PARTIAL_ROUNDS = {2: 55, 4: 56, 8: 57, 11: 57}


@functools.cache
def round_constants(width: int, partial_rounds: int) -> list[int]:
    """The constants of all rounds, one after the other."""
    bits: list[int] = []
    fields = ((2, 1), (4, 1), (12, 255), (12, width), (10, 8), (10, partial_rounds), (30, (1 << 30) - 1))
    for size, value in fields:
        bits += [value >> i & 1 for i in reversed(range(size))]

    def step() -> int:
        bit = bits[62] ^ bits[51] ^ bits[38] ^ bits[23] ^ bits[13] ^ bits[0]
        bits.pop(0)
        bits.append(bit)
        return bit

    def shrunk() -> int:
        while not step():
            step()
        return step()

    for _ in range(160):
        step()
    constants: list[int] = []
    while len(constants) < (8 + partial_rounds) * width:
        value = functools.reduce(lambda acc, _: acc << 1 | shrunk(), range(255), 0)
        if value < MODULUS:
            constants.append(value)
    return constants


def poseidon(inputs: list[int], *, tag: int | None = None) -> int:
    """Hash 2, 4, 8 or 11 field elements."""
    arity = len(inputs)
    width, partial = arity + 1, PARTIAL_ROUNDS[arity]
    constants = iter(round_constants(width, partial))
    matrix = [[pow(i + j + width, -1, MODULUS) for j in range(width)] for i in range(width)]
    state = [(1 << arity) - 1 if tag is None else tag, *inputs]
    for turn in range(8 + partial):
        state = [(value + next(constants)) % MODULUS for value in state]
        boxes = 1 if 4 <= turn < 4 + partial else width
        state = [pow(value, 5, MODULUS) if i < boxes else value for i, value in enumerate(state)]
        state = [sum(a * b for a, b in zip(row, state, strict=True)) % MODULUS for row in matrix]
    return state[1]
