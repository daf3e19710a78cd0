"""One kernel child for all tests of this folder, and a fresh pool with its chain for each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.miners.models import Miner
from apps.proving.models import WindowPost
from apps.sectors.models import Sector
from tests.integration.sealing.kept import Kept, world_keep, world_resume
from tests.integration.sealing.world import PERIOD, SKIP, World, fresh, pledged
from workers.processors.pool import ProcessorPool
from workers.processors.pool_child import ChildSpec

STAGES = (
    "add_piece",
    "tree_d",
    "pc1",
    "pc2",
    "synthetic",
    "c1",
    "c2",
    "window_post",
    "sector_check",
    "unseal",
    "snap_encode",
    "snap_prove",
    "snap_decode",
)


@pytest.fixture(scope="session")
def kernels() -> Iterator[ProcessorPool]:
    """A child that runs every stage."""
    made = ProcessorPool([ChildSpec(stages=STAGES)])
    yield made
    made.close()


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where worlds are, each in the same folder as the one before, and what is kept of one."""
    return tmp_path_factory.mktemp("worlds")


@pytest.fixture
def world(places: Path, kernels: ProcessorPool, db: None, monkeypatch: Any) -> Iterator[World]:
    """A pool on a new chain."""
    folder = places / "world"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    made = World(folder, kernels, monkeypatch)
    yield made
    made.close()


@pytest.fixture(scope="session")
def kept_worlds() -> dict[int, Kept]:
    """The worlds that `lone` and `pair` begin in, by their count of sectors, once they were made."""
    return {}


@pytest.fixture
def lone(world: World, places: Path, kept_worlds: dict[int, Kept]) -> tuple[Miner, Sector]:
    """A miner with one active sector, sealed once for all tests."""
    if 1 not in kept_worlds:
        active_sectors(world, 1)
        kept_worlds[1] = world_keep(world, places / "lone")
    world_resume(world, kept_worlds[1])
    return Miner.objects.get(), Sector.objects.get()


@pytest.fixture
def pair(world: World, places: Path, kept_worlds: dict[int, Kept]) -> tuple[Miner, list[Sector]]:
    """A miner with two active sectors, sealed once for all tests; the next window is not challenged yet."""
    if 2 not in kept_worlds:
        miner = active_sectors(world, 2)
        ends = WindowPost.objects.filter(miner=miner).latest("pk").close_epoch
        world.epoch(ends - world.height)
        kept_worlds[2] = world_keep(world, places / "pair")
    world_resume(world, kept_worlds[2])
    return Miner.objects.get(), list(Sector.objects.order_by("number"))


def active_sectors(world: World, count: int) -> Miner:
    """Seal sectors of zeros until all of them have proven themselves; give their miner."""
    miner = world.miner_create()
    sectors = pledged(world, miner, count=count)
    world.until(lambda: all(fresh(sector).active for sector in sectors), epochs=2 * PERIOD, stride=SKIP)
    return miner
