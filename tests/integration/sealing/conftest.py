"""One kernel child for all tests of this folder, and a fresh pool with its chain for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.sealing.world import World
from workers.processors.pool import ChildSpec, ProcessorPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@pytest.fixture
def world(tmp_path: Path, kernels: ProcessorPool, db: None, monkeypatch: Any) -> Iterator[World]:
    """A pool on a new chain."""
    made = World(tmp_path, kernels, monkeypatch)
    yield made
    made.close()
