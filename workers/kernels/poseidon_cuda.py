"""Poseidon of one message in each thread of an NVIDIA card; the same constants and bits as `poseidon_words`.

Loaded by name, and only where a card may be used: numba.cuda costs a process memory and time.
"""

# mypy: allow-untyped-calls, allow-untyped-defs, disable-error-code="attr-defined"

from __future__ import annotations

import numpy as np
from numba import cuda

from workers.kernels.field_cuda import THREADS, device
from workers.kernels.scalar_cuda import (
    add_product,
    element_load,
    element_store,
    reduced,
    reduced_add,
    reduced_one,
    reduced_one_add,
    sum_zero,
)

WIDTH = 12
"""Elements of the largest state."""
RING = 2 * WIDTH
"""Elements of the recurrence that are still needed: y and s of so many rounds, the next y."""
_SLOTS = (RING + WIDTH, 8)


@device
def _multiply(left, right):
    """left · right / 2^256, below r.

    left, right: 8 x u32
    """
    return reduced_one(add_product(sum_zero(), left, right))


@device
def _sbox(slots, target, source, constants, k):
    """slots[target] = slots[source]^5 / 2^1024 + constants[k].

    slots, constants: u32[n, 8];  target, source, k: i64
    """
    x = element_load(slots, source)
    x2 = _multiply(x, x)
    x4 = _multiply(x2, x2)
    fifth = reduced_one_add(add_product(sum_zero(), x4, x), element_load(constants, k))
    element_store(slots, target, fifth)


@device
def _dot(slots, first, stride, ring, constants, k, count):
    """The sum of slots[first + i · stride] · constants[k + i], i below count.

    slots, constants: u32[n, 8];  first, stride, k, count: i64
    ring: i64  slots after which the first one follows
    """
    total = sum_zero()
    slot = first
    for i in range(count):
        total = add_product(total, element_load(slots, slot), element_load(constants, k + i))
        slot += stride
        if slot >= ring:
            slot -= ring
    return total


@device
def _layer(slots, target, gap, source, constants, k, width):
    """A linear layer: target i = source 0 + the rest of the state by row i, whose first weight is 1.

    slots, constants: u32[n, 8];  target, gap, source, k, width: i64  result i stands at target + gap · i
    """
    for i in range(width):
        total = _dot(slots, source + 1, 1, RING + WIDTH, constants, k, width - 1)
        element_store(slots, target + gap * i, reduced_add(total, element_load(slots, source)))
        k += width - 1
    return k


@device
def _permute(slots, constants, k, width, partial_rounds):
    """All rounds, from the moved-in state at slot 0 on; returns the digest.

    slots: u32[RING + WIDTH, 8];  constants: u32[n, 8];  k, width, partial_rounds: i64

    As `poseidon_rounds.permute`, with a ring in place of its tape; the state stands by turns at the ring's
    beginning and behind it.
    """
    tail, ring = width - 1, 2 * width
    here, there = 0, RING
    for turn in range(4):
        for i in range(1 if turn == 0 else 0, width):
            _sbox(slots, here + i, here + i, constants, k)
            k += 1
        k = _layer(slots, there, 2 if turn == 3 else 1, here, constants, k, width)
        here, there = there, here
    y = 0
    for turn in range(partial_rounds):
        _sbox(slots, y + 1, y, constants, k)
        k += 1
        following = y + 2
        if following == ring:
            following = 0
        if turn < tail:
            total = _dot(slots, 1, 2, ring, constants, k, turn + 1)
            plain = element_load(slots, following)
            k += turn + 1
        else:
            first = following + 1  # the oldest s: 2 · tail + 1 slots before, in a ring of 2 · tail + 2
            total = _dot(slots, first, 1, ring, constants, k, 2 * tail)
            plain = element_load(slots, y + 1)
            k += 2 * tail
        element_store(slots, following, reduced_add(total, plain))
        y = following
    newest = element_load(slots, y)
    element_store(slots, RING, newest)
    first = y + 3 if y + 3 < ring else y + 3 - ring
    for i in range(1, width):
        total = _dot(slots, first, 1, ring, constants, k, 2 * tail - 1)
        element_store(slots, RING + i, reduced_add(total, newest))
        k += 2 * tail - 1
    here, there = RING, 0
    for turn in range(4):
        for i in range(width):
            _sbox(slots, here + i, here + i, constants, k)
            k += 1
        if turn < 3:
            k = _layer(slots, there, 1, here, constants, k, width)
            here, there = there, here
    return reduced(_dot(slots, here, 1, RING + WIDTH, constants, k, width))


@cuda.jit
def hash_cuda(nodes, element_step, message_step, out, constants, arity, partial_rounds):
    """Poseidon of `len(out)` messages; message m's element i is nodes[i · element_step + m · message_step].

    nodes:     u32[k, 8]    canonical, on the card
    element_step, message_step: i64
    out:       u32[n, 8]    on the card, every word written, canonical
    constants: u32[c, 8]    rows of `constants_in_order` for 2^256, on the card
    arity, partial_rounds: i64
    Cost:    a thread a message; arity 8: 1,845 products and 521 reductions.
    Threads: as launched; those beyond the last message do nothing.
    Errors:  none; `processors.card_trees` has made the rows.
    Source:  neptune src/poseidon.rs by its vectors; form of `poseidon_recurrence`.
    Twin:    tests/naive/poseidon.py poseidon.   Golden: tests/golden/proofs/poseidon.json.
    """
    message = cuda.grid(1)
    if message < out.shape[0]:
        slots = cuda.local.array(_SLOTS, np.uint32)
        element_store(slots, 0, element_load(constants, 0))
        k = 1
        for i in range(1, arity + 1):
            value = element_load(nodes, (i - 1) * element_step + message * message_step)
            total = add_product(sum_zero(), value, element_load(constants, k))
            element_store(slots, i, reduced_one_add(total, element_load(constants, k + 1)))
            k += 2
        element_store(out, message, _permute(slots, constants, k, arity + 1, partial_rounds))


KERNEL = cuda, hash_cuda, THREADS
"""numba.cuda, the kernel, threads of a block."""
