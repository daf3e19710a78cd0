"""The rounds of Poseidon over a state in memory, whatever its elements look like there.

`poseidon_lanes`, `poseidon_floats` and `poseidon_words` bring the arithmetic: an S-box, a dot product, and
one with a term of weight 1.  The constants come in the order of `poseidon_recurrence.constants_in_order`.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels.flags import STEP


@njit(**STEP)
def slots_needed(width, partial_rounds):
    """Slots of memory for `permute`: two states, y and s of every partial round, the state after them.

    width:          i64  elements of the state: arity + 1
    partial_rounds: i64
    """
    return 2 * width + 2 * partial_rounds + width


@njit(**STEP)
def permute(steps, sizes, start, k, width, partial_rounds):
    """All rounds from the moved-in state at `start` on; returns the address of the digest.

    steps: tuple of 3 steps  sbox, dot, dot_add of the element's form, by addresses and counts
    sizes: (i64, i64)        bytes of one element and of one constant
    start: i64               address of `slots_needed` slots; all are written
    k:     i64               address of the constants behind those of the inputs
    width: i64               elements of the state: arity + 1
    partial_rounds: i64
    """
    sbox, dot, dot_add = steps
    slot, constant = sizes
    tail = width - 1
    here, there, tape = start, start + width * slot, start + 2 * width * slot
    for turn in range(4):  # the last one begins the recurrence: every other slot is a y
        target, gap = (there, slot) if turn < 3 else (tape, 2 * slot)
        for i in range(1 if turn == 0 else 0, width):
            sbox(here + slot * i, here + slot * i, k)
            k += constant
        for i in range(width):
            dot_add(target + gap * i, here, here + slot, slot, k, tail)
            k += constant * tail
        here, there = there, here
    for turn in range(partial_rounds):  # y of this turn, its s, y of the next one
        y = tape + 2 * slot * turn
        sbox(y + slot, y, k)
        k += constant
        following = y + 2 * slot
        if turn < tail:
            dot_add(following, following, tape + slot, 2 * slot, k, turn + 1)
            k += constant * (turn + 1)
        else:
            dot_add(following, y + slot, following - slot * (2 * tail + 1), slot, k, 2 * tail)
            k += constant * 2 * tail
    here, there = tape + 2 * slot * partial_rounds, start
    for i in range(1, width):  # the tail of the state stands behind the last y
        dot_add(here + slot * i, here, here - slot * (2 * tail - 1), slot, k, 2 * tail - 1)
        k += constant * (2 * tail - 1)
    for turn in range(4):
        for i in range(width):
            sbox(here + slot * i, here + slot * i, k)
            k += constant
        if turn < 3:
            for i in range(width):
                dot_add(there + slot * i, here, here + slot, slot, k, tail)
                k += constant * tail
        else:
            dot(there, here, k, width)
        here, there = there, here
    return here


@njit(**STEP)
def hash_room(width, partial_rounds, slot):
    """Memory of `hash_groups`: slots and room to align them, where the messages are, their digests.

    width:          i64  elements of the state: arity + 1
    partial_rounds: i64
    slot:           i64  bytes of one element of eight messages
    """
    scratch = np.empty((slots_needed(width, partial_rounds) * slot + 64) // 8, np.uint64)
    return scratch, np.empty(8, np.int64), np.empty((8, 4), np.uint64)


@njit(**STEP)
def hash_groups(steps, sizes, bases, step, out, constants, partial_rounds, room):
    """Poseidon of `len(out)` messages, eight at a time.

    steps:     tuple of 2 tuples of steps: spread, gather, scale and scatter of a path, and those of `permute`
    sizes:     (i64, i64)   bytes of one element of eight messages and of one constant
    bases:     i64[arity]   addresses of the first message's elements
    step:      i64          bytes from one message's element to the next message's
    out:       u64[n, 4]    output, every word written
    constants: u64[k, 5] or f64[k, 5]  rows of `constants_in_order`
    partial_rounds: i64     of the arity
    room:      tuple        of `hash_room`; nothing is allocated here, so that nothing can fail
    """
    spread, gather, scale, scatter = steps[0]
    slot, constant = sizes
    width = bases.shape[0] + 1
    scratch, offsets, rows = room
    start = (scratch.ctypes.data + 63) & ~63
    total = out.shape[0]
    for group in range(0, total, 8):
        for lane in range(8):  # a short last group repeats its last message
            offsets[lane] = step * min(group + lane, total - 1)
        k = constants.ctypes.data
        spread(start, k)
        k += constant
        for i in range(1, width):
            gather(start + width * slot, bases[i - 1], offsets.ctypes.data)
            scale(start + slot * i, start + width * slot, k)
            k += 2 * constant
        digest = permute(steps[1], sizes, start, k, width, partial_rounds)
        scatter(rows.ctypes.data, digest)
        for lane in range(min(8, total - group)):
            for word in range(4):
                out[group + lane, word] = rows[lane, word]
    scratch[0] = 0  # numba frees an array after its last use by name; its address is used until here
