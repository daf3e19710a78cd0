from __future__ import annotations

import pytest

from tests.naive.field import MODULUS
from tests.unit.workers.kernels.arrays import random_scalars
from workers.kernels.poseidon_constants import poseidon_constants
from workers.kernels.poseidon_recurrence import Recurrence

ARITIES = (2, 4, 8, 11)


def dense(mds: list[list[int]], state: list[int], keys: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Partial rounds as they are defined: (y of every round and after the last, s of every round, tail)."""
    ys, boxes = [state[0]], []
    for key in keys:
        boxes.append((pow(state[0], 5, MODULUS) + key) % MODULUS)
        state = [
            sum(a * b for a, b in zip(row, [boxes[-1], *state[1:]], strict=True)) % MODULUS for row in mds
        ]
        ys.append(state[0])
    return ys, boxes, state[1:]


def alternate(boxes: list[int], ys: list[int]) -> list[int]:
    return [value for pair in zip(boxes, ys, strict=True) for value in pair]


def dot(left: list[int], right: list[int]) -> int:
    return sum(a * b for a, b in zip(left, right, strict=True)) % MODULUS


@pytest.mark.parametrize("arity", ARITIES)
def test_the_recurrence_gives_the_first_element_of_dense_rounds(arity):
    mds = poseidon_constants(arity).mds
    state = random_scalars(arity + 1, seed=arity)
    ys, boxes, _ = dense(mds, state, random_scalars(arity + 5, seed=1))
    recurrence = Recurrence(mds)

    for turn in range(arity):
        of_tail = dot(recurrence.seen[turn], state[1:])
        assert ys[turn + 1] == (of_tail + dot(recurrence.response[turn::-1], boxes[: turn + 1])) % MODULUS
    for turn in range(arity, arity + 5):
        window = [*alternate(boxes[turn - arity : turn], ys[turn - arity + 1 : turn + 1]), boxes[turn]]
        assert ys[turn + 1] == dot(recurrence.window(), window)


@pytest.mark.parametrize("arity", ARITIES)
def test_the_recurrence_gives_the_tail_after_dense_rounds(arity):
    mds = poseidon_constants(arity).mds
    ys, boxes, tail = dense(mds, random_scalars(arity + 1, seed=arity), random_scalars(arity + 3, seed=2))

    window = alternate(boxes[-arity:], ys[-arity:])

    assert [dot(Recurrence(mds).tail_window(i), window) for i in range(arity)] == tail
