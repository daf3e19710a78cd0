"""One running pool for the quick tests: they add to it and kill parts of it, and never reset it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.pool import RunningPool

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def shared_pool() -> Iterator[RunningPool]:
    """A pool with its miner."""
    began = time.monotonic()
    with RunningPool() as pool:
        print(f"first page after {time.monotonic() - began:.1f} s")
        miner = pool.wait_miner()
        print(f"miner {miner} after {time.monotonic() - began:.1f} s")
        yield pool
