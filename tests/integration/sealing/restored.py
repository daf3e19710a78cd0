"""A pool restored from a dump: its tables, and a host that is off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from apps.proving.models import Deadline, Partition, WindowPost
from apps.proving.models import Recovery as FaultRecovery
from tests.integration.sealing.world import World
from tests.unit.apps.sectors.restore import SECTOR_TABLES
from workers.agent.loop import Agent

RESTORED_TABLES = (*SECTOR_TABLES, Deadline, Partition, WindowPost, FaultRecovery)


def idle(world: World) -> Agent:
    """Switch the sealing host off; returns it."""
    agent, off = world.agent, SimpleNamespace(held=(), claim_after=0.0, tick=lambda: None)
    world.agent = cast("Agent", off)
    return agent
