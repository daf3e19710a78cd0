"""How fast the SHA instructions of this machine are by themselves: what labels could reach and no more.

A label is a chain of 19 compressions that wait for each other, and one that does not
(`labels._emit_label`).  So one sector cannot be faster than the chain, nor several than the unit.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels import llvm, sha256
from workers.kernels.flags import SERIAL

STREAMS = 4
"""Messages that keep the unit busy whatever its latency is: it takes 4 cycles, and begins one in 2 or 3."""


def _chains(streams):
    """The step (blocks, states) that compresses constant blocks of so many messages side by side.

    streams: messages;  blocks: i64  of each, at least 1;  states: address of u32[8 · streams], output
    """

    def emit(builder, blocks, states):
        """All states are carried in registers from block to block."""
        parts = [part for _ in range(streams) for part in sha256.initial_state()]

        def turn(_index, carried):
            """Compress one block of each message: the padding of 64 bytes, whose schedule costs nothing."""
            pairs = list(zip(carried[::2], carried[1::2], strict=True))
            after = sha256.compress(builder, pairs, [sha256.padding_schedule()] * streams)
            return [part for state in after for part in state]

        for at, part in enumerate(llvm.loop(builder, blocks, parts, turn)):
            llvm.store(builder, part, states, 16 * at)

    return llvm.step(emit)


_ONE, _SEVERAL = _chains(1), _chains(STREAMS)


@njit(**SERIAL)
def chain_run(blocks):
    """Compress `blocks` constant blocks of one message, each after the one before.

    blocks: i64  how many
    Returns the state, u32[8] in register order, so that nothing can be left out.
    Cost:    64 rounds a block, each pair of them waiting for the one before.
    Threads: none inside; the GIL is free.   Errors: none; blocks is at least 1.
    Source:  FIPS 180-4, section 6.2.2.   Twin: tests/naive/sha256.py compress.
    Golden:  none; the twin only, which hashlib checks.
    """
    states = np.empty(8, np.uint32)
    _ONE(blocks, states.ctypes.data)
    return states


@njit(**SERIAL)
def chains_run(blocks):
    """Compress `blocks` constant blocks of each of `STREAMS` messages, which wait for nothing but the unit.

    blocks: i64  how many
    Returns the states, u32[8 · STREAMS], each in register order.
    Cost:    STREAMS times 64 rounds a block, the messages' rounds in turns.
    Threads: none inside; the GIL is free.   Errors: none; blocks is at least 1.
    Source:  FIPS 180-4, section 6.2.2.   Twin: tests/naive/sha256.py compress.
    Golden:  none; the twin only, which hashlib checks.
    """
    states = np.empty(8 * STREAMS, np.uint32)
    _SEVERAL(blocks, states.ctypes.data)
    return states
