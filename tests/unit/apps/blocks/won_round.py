"""The first round of a miner that is won, and its steps."""

from __future__ import annotations

import asyncio

from apps.blocks.states import RoundState
from tests.unit.apps.blocks.world import in_database

STEPS = ["base_info", "election", "ticket", "messages", "proof", "base", "create", "reserve", "sign", "wait"]


async def won(world, **options):
    """The first round that is won: nearly all are."""
    for _ in range(10):
        row = await world.round(**options)
        if row.state != RoundState.NO_WIN:
            return row
        options["nulls"] = options.get("nulls", 0) + 1
    raise AssertionError("no win in ten epochs")


async def in_thread(work, *args):
    return await asyncio.to_thread(in_database, work, *args)
