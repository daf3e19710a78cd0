"""What a miner has and owes on the chain."""

from __future__ import annotations

from apps.miners.models import Miner
from tests.integration.sealing.world import World


def money(world: World, miner: Miner) -> int:
    """All that the miner's actor has, less what it owes."""
    actor = world.ask("StateGetActor", miner.address, [])
    return int(actor["Balance"])
