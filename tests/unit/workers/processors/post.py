"""A sealed sector, and bits of its files flipped."""

from __future__ import annotations

import pytest

from tests.unit.workers.processors.sealing import sealing
from workers.processors.post_tasks import Replica

SEED = b"\x07" * 32


@pytest.fixture
def sealed(tmp_path):
    sector = sealing("2k_v1_1", 5, folder=tmp_path)
    _, _, output = sector.to_pc2()
    return sector, Replica(1, output.comm_r, str(sector.cache), str(sector.sealed))


def flip(path, at=0):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
