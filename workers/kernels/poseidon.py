"""The Poseidon hash of Filecoin's trees and columns: arity 2, 4, 8 and 11, chosen path and constants.

Source: argumentcomputer/neptune src/poseidon.rs; spec proofs section 7.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.kernels.cpu import has_ifma
from workers.kernels.field import LANE_BITS, MODULUS, WORD_BITS, limbs
from workers.kernels.poseidon_constants import FULL_ROUNDS, PARTIAL_ROUNDS, poseidon_constants
from workers.kernels.poseidon_lanes import hash_lanes
from workers.kernels.poseidon_words import hash_words

if TYPE_CHECKING:
    from collections.abc import Sequence

Nodes = np.ndarray[Any, np.dtype[np.uint64]]
"""u64[n, 4]: n field elements, canonical, little-endian limbs."""

_BLOCK = {2: 3, 4: 3, 8: 4, 11: 5}
"""Partial rounds between two updates of the state's tail: fewest products (see `constants_in_order`)."""


def _partial_block(rounds: list[tuple[int, list[int], list[int]]]) -> list[int]:
    """Constants of consecutive partial rounds that leave the tail of the state alone until their end.

    Each round is (key, weights of the new first element, what its S-box adds to the tail).  Instead of
    adding to the tail every round, a later round takes the S-boxes before it with weight w · v.
    """
    out: list[int] = []
    for at, (key, weights, _) in enumerate(rounds):
        tail = weights[1:]
        earlier = [
            sum(w * v for w, v in zip(tail, added, strict=True)) % MODULUS for _, _, added in rounds[:at]
        ]
        out += [key, *tail, *earlier, weights[0]]
    for element in range(len(rounds[0][2])):
        out += [added[element] for _, _, added in rounds]
    return out


def constants_in_order(arity: int, *, tag: int, bits: int) -> Nodes:
    """Every constant in the order in which the kernels read them.

    First element after the tag; per input its radix factor and constant; four full rounds (keys,
    matrix columns; the fourth with the pre-sparse matrix); the blocks of partial rounds; three full
    rounds; the last one, whose single column also leaves the Montgomery form.
    """
    c = poseidon_constants(arity)
    width, half = c.width, FULL_ROUNDS // 2
    radix = 1 << (4 * WORD_BITS if bits == WORD_BITS else 5 * LANE_BITS)
    inverse = pow(radix, -1, MODULUS)
    keys = iter(c.compressed[width:])
    values = [tag + c.compressed[0]]
    for i in range(1, width):
        values += [radix, c.compressed[i]]  # the product with radix² moves an input to Montgomery form
    for turn in range(half):
        values += [next(keys) for _ in range(width)]
        matrix = c.pre_sparse if turn == half - 1 else c.mds
        values += [matrix[i][j] for j in range(width) for i in range(width)]
    rounds = [(next(keys), *c.sparse[i]) for i in range(c.partial_rounds)]
    for first in range(0, c.partial_rounds, _BLOCK[arity]):
        values += _partial_block(rounds[first : first + _BLOCK[arity]])
    for _ in range(half - 1):
        values += [next(keys) for _ in range(width)]
        values += [c.mds[i][j] for j in range(width) for i in range(width)]
    values += [0] * width
    values += [c.mds[i][1] * inverse for i in range(width)]
    return limbs(values, bits=bits)


@functools.cache
def _constants(arity: int, tag: int, bits: int) -> Nodes:
    return constants_in_order(arity, tag=tag, bits=bits)


def hash_many(bases: Sequence[int], out: Nodes, *, step: int, tag: int | None = None) -> None:
    """Write Poseidon of message m's elements (nodes at bases[i] + m · step) to out[m].

    The memory behind `bases` must stay alive; its nodes are canonical.  `tag` is the domain tag,
    by default the one of trees and columns (2^arity - 1).
    """
    arity = len(bases)
    addresses = np.array(bases, np.int64)
    tag = (1 << arity) - 1 if tag is None else tag
    if has_ifma():
        constants = _constants(arity, tag, LANE_BITS)
        hash_lanes(addresses, step, out, constants, PARTIAL_ROUNDS[arity], _BLOCK[arity])
    else:
        constants = _constants(arity, tag, WORD_BITS)
        hash_words(addresses, step, out, constants, PARTIAL_ROUNDS[arity], _BLOCK[arity])


def hash_row(children: Nodes, parents: Nodes, *, arity: int) -> None:
    """One tree row from the row below: parents[i] = Poseidon(children[arity·i] … children[arity·i+arity-1]).

    children: u64[arity · n, 4], contiguous;  parents: u64[n, 4], every word written.
    """
    start = children.ctypes.data
    hash_many([start + 32 * i for i in range(arity)], parents, step=32 * arity)


def hash_columns(layers: Sequence[Nodes], columns: Nodes) -> None:
    """Column hashes: columns[v] = Poseidon(layers[0][v], …, layers[-1][v]); 2 or 11 layers."""
    hash_many([layer.ctypes.data for layer in layers], columns, step=32)


def hash_values(values: Sequence[bytes], *, tag: int | None = None) -> bytes:
    """Poseidon of single 32-byte elements."""
    nodes = np.frombuffer(b"".join(values), np.uint64).reshape(-1, 4)
    out = np.empty((1, 4), np.uint64)
    start = nodes.ctypes.data
    hash_many([start + 32 * i for i in range(len(values))], out, step=32, tag=tag)
    return out.tobytes()
