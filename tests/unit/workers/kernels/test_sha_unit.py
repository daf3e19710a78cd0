from __future__ import annotations

import numpy as np
import pytest

from workers.kernels import sha256, sha_unit
from workers.kernels.cpu import has_sha_ni
from workers.processors import bench

REGISTERS = [5, 4, 1, 0, 7, 6, 3, 2]
"""Which words of a state lie in ABEF and CDGH."""


def compressed(blocks: int) -> list[int]:
    state = sha256.H.copy()
    for _ in range(blocks):
        sha256.rounds(state, sha256.PADDING_64_WORDS)
    return [int(state[i]) for i in REGISTERS]


def test_its_limits_are_lines_of_the_bench_where_there_is_one():
    lines = [name for name in bench.CASES if name.endswith(": the SHA unit")]

    assert len(lines) == (2 if has_sha_ni() else 0)


@pytest.mark.skipif(not has_sha_ni(), reason="this CPU has no SHA instructions to measure")
@pytest.mark.parametrize("blocks", [1, 2, 19])
def test_what_is_measured_are_whole_compressions(blocks):
    one, several = sha_unit.chain_run(np.int64(blocks)), sha_unit.chains_run(np.int64(blocks))

    assert one.tolist() == compressed(blocks)
    assert several.tolist() == compressed(blocks) * sha_unit.STREAMS
