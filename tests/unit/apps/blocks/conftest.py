"""A world for each test of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.apps.blocks.world import World


@pytest.fixture
def world(transactional_db: None) -> Iterator[World]:
    """A pool with one miner, and its node."""
    made = World()
    yield made
    made.close()
