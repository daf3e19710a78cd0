from __future__ import annotations

import numpy as np
import pytest

from workers.kernels.crc32c import page_sums

ROWS = [bytes(32), b"\xff" * 32, bytes(range(32)), bytes(range(31, -1, -1))]
KNOWN = [0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0x113FDB5C]
"""Source: RFC 3720, B.4."""


@pytest.mark.usefixtures("path")
def test_sums_equal_the_vectors_of_the_rfc():
    sums = np.zeros(4, np.uint32)

    page_sums(np.frombuffer(b"".join(ROWS), np.uint8).reshape(4, 32).copy(), sums)

    assert sums.tolist() == KNOWN


def test_instruction_and_tables_agree_on_every_page_size(monkeypatch):
    for size in (512, 1024, 2048, 4096):
        pages, found = np.random.default_rng(size).integers(0, 256, (9, size), np.uint8), []
        for forced in ("", "portable"):
            monkeypatch.setenv("POOLSITE_KERNELS", forced)
            found.append(np.zeros(9, np.uint32))
            page_sums(pages, found[-1])
        assert found[0].tolist() == found[1].tolist()
