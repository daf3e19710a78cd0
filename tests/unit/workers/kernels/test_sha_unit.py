from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tests.naive import sha256 as naive
from workers.kernels import sha_unit
from workers.kernels.cpu import has_sha_ni
from workers.processors.bench_cases import CASES

REGISTERS = [5, 4, 1, 0, 7, 6, 3, 2]
"""Which words of a state lie in ABEF and CDGH."""


BLOCK = b"\x80" + bytes(61) + (512).to_bytes(2, "big")
"""The padding of 64 bytes, which every node of a tree ends with."""


def compressed(blocks: int) -> list[int]:
    state = naive.INITIAL
    for _ in range(blocks):
        state = naive.compress(state, BLOCK)
    return [state[i] for i in REGISTERS]


@pytest.mark.parametrize("length", [0, 1, 55])
def test_the_twin_of_the_unit_is_the_hash_of_short_messages(length):
    message = bytes(range(length))
    block = message + b"\x80" + bytes(55 - length) + (8 * length).to_bytes(8, "big")

    state = naive.compress(naive.INITIAL, block)

    assert b"".join(word.to_bytes(4, "big") for word in state) == hashlib.sha256(message).digest()


@pytest.mark.parametrize("blocks", [1, 2, 19])
def test_what_the_bench_measures_of_the_unit_are_whole_compressions(blocks):
    measured = {"one": (sha_unit.chain_run, 1), "several": (sha_unit.chains_run, sha_unit.STREAMS)}
    lines = [name.split()[1].rstrip(",:") for name in CASES if name.endswith(": the SHA unit")]

    assert lines == (["one", "several"] if has_sha_ni() else [])
    for line in lines:
        run, messages = measured[line]
        assert run(np.int64(blocks)).tolist() == compressed(blocks) * messages
