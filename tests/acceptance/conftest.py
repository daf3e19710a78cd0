"""One running pool for the quick tests: they add to it and kill parts of it, and never reset it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.pool import RunningPool

HERE = Path(__file__).parent

STORY = "test_main_job.py"
"""Its tests tell one story of one pool: the first sector, kills on the way of others, all of them active."""

LAST: Final = "test_soak.py"
"""It pledges sectors, and disturbs everything."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the story's written order, and the shared pool's tests together; all else stays shuffled."""
    places = [place for place, item in enumerate(items) if item.path.name == STORY]
    story = sorted((items[place] for place in places), key=lambda item: item.reportinfo()[1] or 0)
    for place, item in zip(places, story, strict=True):
        items[place] = item
    sharing = [item for item in items if "shared_pool" in getattr(item, "fixturenames", ())]
    if sharing:
        sharing.sort(key=lambda item: item.path.name == LAST)
        # last of their folder: the pool ends with it, and does not run beside the other pools
        after = max(place for place, item in enumerate(items) if item.path.parent == HERE) + 1
        items[:after] = [*(item for item in items[:after] if item not in sharing), *sharing]


@pytest.fixture(scope="package")
def shared_pool() -> Iterator[RunningPool]:
    """A pool with its miner; it ends with the last test that wants it, since it keeps half a core busy."""
    began = time.monotonic()
    with RunningPool() as pool:
        print(f"first page after {time.monotonic() - began:.1f} s")
        miner = pool.wait_miner()
        print(f"miner {miner} after {time.monotonic() - began:.1f} s")
        yield pool
