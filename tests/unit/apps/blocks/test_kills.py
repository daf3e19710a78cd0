"""A service that is killed at any step of a win makes the same block when it is back, and never another."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from apps.blocks.models import Block, Round
from apps.blocks.rounds.miner_round import MinerRound
from apps.blocks.services.rounds import rounds_interrupt
from apps.blocks.states import RoundState
from tests.unit.apps.blocks.won_round import STEPS, in_thread


class Killed(BaseException):
    """What no handler of ours takes."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("victim", [*STEPS, "submit"])
async def test_killed_at_any_step_it_makes_the_same_block(world, monkeypatch, victim, moment):
    world.devnet.wallet._keys.clear()
    base, nulls, step = await world.base(), 0, MinerRound.step

    @asynccontextmanager
    async def deadly(self, name):
        if name == victim and moment == "before":
            raise Killed
        async with step(self, name):
            yield
        if name == victim:
            raise Killed

    monkeypatch.setattr(MinerRound, "step", deadly)
    for nulls in range(10):
        killed = await asyncio.gather(world.round(base=base, nulls=nulls), return_exceptions=True)
        if victim in STEPS[:2] or isinstance(killed[0], Killed):
            break
    assert isinstance(killed[0], Killed)
    reserved = await in_thread(lambda: [bytes(row.unsigned) for row in Block.objects.all()])
    monkeypatch.setattr(MinerRound, "step", step)

    row = await world.round(base=base, nulls=nulls)

    if row.state == RoundState.NO_WIN:
        assert victim in STEPS[:2]
        return
    assert row.state == RoundState.SUBMITTED
    assert str(world.devnet.head.tipset.cids[0]) == row.block.cid
    assert len({to_sign for name, to_sign in world.providers.signed if name == "block"}) == 1
    blocks = await in_thread(lambda: [bytes(one.unsigned) for one in Block.objects.all()])
    assert len(blocks) == 1
    assert blocks == reserved or not reserved


async def test_a_win_that_was_left_behind_is_called_interrupted(world):
    world.providers.fails["proof"] = Killed()
    for nulls in range(10):
        results = await asyncio.gather(world.round(nulls=nulls), return_exceptions=True)
        if isinstance(results[0], Killed):
            break
    [row] = await in_thread(lambda: list(Round.objects.filter(win_count__gt=0)))
    assert row.state == RoundState.WON

    assert await in_thread(lambda: rounds_interrupt(before=row.epoch)) == 0
    assert await in_thread(lambda: rounds_interrupt(before=row.epoch + 1)) == 1
    assert (await in_thread(lambda: Round.objects.get(pk=row.pk))).state == RoundState.INTERRUPTED
