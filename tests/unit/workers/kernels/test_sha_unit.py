from __future__ import annotations

import numpy as np
import pytest

from workers.kernels import sha256, sha_unit
from workers.kernels.cpu import has_sha_ni
from workers.processors.bench_cases import CASES

REGISTERS = [5, 4, 1, 0, 7, 6, 3, 2]
"""Which words of a state lie in ABEF and CDGH."""


def compressed(blocks: int) -> list[int]:
    state = sha256.H.copy()
    for _ in range(blocks):
        sha256.rounds(state, np.array(sha256.PADDING_64, np.uint32))
    return [int(state[i]) for i in REGISTERS]


@pytest.mark.parametrize("blocks", [1, 2, 19])
def test_what_the_bench_measures_of_the_unit_are_whole_compressions(blocks):
    measured = {"one": (sha_unit.chain_run, 1), "several": (sha_unit.chains_run, sha_unit.STREAMS)}
    lines = [name.split()[1].rstrip(",:") for name in CASES if name.endswith(": the SHA unit")]

    assert lines == (["one", "several"] if has_sha_ni() else [])
    for line in lines:
        run, messages = measured[line]
        assert run(np.int64(blocks)).tolist() == compressed(blocks) * messages
