"""One kernel child for all tests of this folder, and a fresh pool with its chain for each."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from apps.miners.models import Miner
from apps.proving.models import WindowPost
from apps.sectors.models import Sector
from tests.integration.sealing.kept import world_keep, world_resume
from tests.integration.sealing.world import PERIOD, SKIP, World, fresh, pledged
from workers.processors.pool import ChildSpec, ProcessorPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.sealing.kept import Kept

STAGES = (
    "add_piece",
    "tree_d",
    "pc1",
    "pc2",
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
def pairs() -> list[Kept]:
    """The world in which the two sectors of `pair` were sealed, once there is one."""
    return []


@pytest.fixture
def pair(world: World, places: Path, pairs: list[Kept]) -> tuple[Miner, list[Sector]]:
    """A miner with two active sectors, sealed once for all tests; the next window is not challenged yet."""
    if not pairs:
        miner = world.miner_create()
        sectors = pledged(world, miner, count=2)
        world.until(lambda: all(fresh(sector).active for sector in sectors), epochs=2 * PERIOD, stride=SKIP)
        ends = WindowPost.objects.filter(miner=miner).latest("pk").close_epoch
        world.epoch(ends - world.height)
        pairs.append(world_keep(world, places / "pair"))
    world_resume(world, pairs[0])
    return Miner.objects.get(), list(Sector.objects.order_by("number"))
