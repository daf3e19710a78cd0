"""The Poseidon hash of Filecoin's trees and columns: arity 2, 4, 8 and 11, chosen path and constants.

Source: argumentcomputer/neptune src/poseidon.rs.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from workers.kernels.cpu import has_fma, has_ifma
from workers.kernels.field import LANE_BITS, WORD_BITS, limbs
from workers.kernels.poseidon_constants import PARTIAL_ROUNDS
from workers.kernels.poseidon_floats import hash_floats
from workers.kernels.poseidon_lanes import hash_lanes
from workers.kernels.poseidon_recurrence import constants_in_order
from workers.kernels.poseidon_words import hash_words

Nodes = np.ndarray[Any, np.dtype[np.uint64]]
"""u64[n, 4]: n field elements, canonical, little-endian limbs."""


@functools.cache
def _constants(arity: int, tag: int, bits: int) -> Nodes:
    """Return the constants of one arity and tag as rows, in the order in which a path reads them.

    bits: WORD_BITS: u64[k, 4], Montgomery with 2^256; LANE_BITS: u64[k, 5], Montgomery with 2^260
    Made once for each in a process.
    """
    radix = 1 << (4 * WORD_BITS if bits == WORD_BITS else 5 * LANE_BITS)
    return limbs(constants_in_order(arity, tag=tag, radix=radix), bits=bits)


@functools.cache
def _constants_floats(arity: int, tag: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the constants in limbs of 52 bits as floating-point numbers."""
    return _constants(arity, tag, LANE_BITS).astype(np.float64)


def constants_words(arity: int) -> Nodes:
    """Return the constants of trees and columns in words: u64[k, 4], Montgomery with 2^256."""
    return _constants(arity, (1 << arity) - 1, WORD_BITS)


def hash_many(bases: Sequence[int], out: Nodes, *, step: int, tag: int | None = None) -> None:
    """Write Poseidon of message m's elements (nodes at bases[i] + m · step) to out[m].

    bases: addresses of the first message's elements, 2, 4, 8 or 11 of them; their memory must stay alive, its
           nodes are canonical
    out:   u64[n, 4], canonical
    step:  bytes from a message's element to the next message's
    tag:   the domain tag, by default the one of trees and columns (2^arity - 1)
    """
    arity = len(bases)
    addresses = np.array(bases, np.int64)
    tag = (1 << arity) - 1 if tag is None else tag
    if has_ifma():
        constants = _constants(arity, tag, LANE_BITS)
        hash_lanes(addresses, step, out, constants, PARTIAL_ROUNDS[arity])
    elif has_fma():
        hash_floats(addresses, step, out, _constants_floats(arity, tag), PARTIAL_ROUNDS[arity])
    else:
        constants = _constants(arity, tag, WORD_BITS)
        hash_words(addresses, step, out, constants, PARTIAL_ROUNDS[arity])


def hash_row(children: Nodes, parents: Nodes, *, arity: int) -> None:
    """Write one tree row from the row below: parents[i] = Poseidon of children[arity·i : arity·i + arity].

    children: u64[arity · n, 4], canonical, contiguous;  parents: u64[n, 4], every word written.
    """
    start = children.ctypes.data
    hash_many([start + 32 * i for i in range(arity)], parents, step=32 * arity)


def hash_columns(layers: Sequence[Nodes], columns: Nodes) -> None:
    """Write column hashes: columns[v] = Poseidon(layers[0][v], …, layers[-1][v]); 2 or 11 layers.

    layers:  u64[n, 4] each, canonical, contiguous; they may lie anywhere
    columns: u64[n, 4], every word written
    """
    hash_many([layer.ctypes.data for layer in layers], columns, step=32)


def hash_values(values: Sequence[bytes], *, tag: int | None = None) -> bytes:
    """Return Poseidon of single 32-byte elements, each canonical and little-endian, as such an element."""
    nodes = np.frombuffer(b"".join(values), np.uint64).reshape(-1, 4)
    out = np.empty((1, 4), np.uint64)
    start = nodes.ctypes.data
    hash_many([start + 32 * i for i in range(len(values))], out, step=32, tag=tag)
    return out.tobytes()
