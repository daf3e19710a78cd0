"""A database that restarts while a round runs: it costs no block, and what was lost is named."""

from __future__ import annotations

import asyncio

import pytest
from django.db import OperationalError

from apps.blocks.models import Block
from apps.blocks.rounds import context
from apps.blocks.rounds.providers import ProofRefused
from apps.blocks.services import rounds
from apps.blocks.states import RoundState
from tests.unit.apps.blocks.won_round import in_thread, won
from tests.waiting import until_async


def away_once(monkeypatch, name):
    """The database restarts while this is read or written; return what was tried."""
    work, tries = getattr(context, name), []

    def tried(rows):
        tries.append(rows)
        if len(tries) == 1:
            raise OperationalError("terminating connection due to administrator command")
        return work(rows)

    monkeypatch.setattr(context, name, tried)
    monkeypatch.setattr(context, "AWAY_S", 0.05)
    return tries


@pytest.mark.parametrize(
    "write", ["wins_record", "blocks_reserve", "signed_blocks_store", "submissions_record"]
)
async def test_a_database_that_restarts_costs_no_block(world, monkeypatch, write):
    world.devnet.wallet._keys.clear()
    tries = away_once(monkeypatch, write)

    row = await won(world)

    assert len(tries) == 2
    assert (row.state, row.block.cid) == (RoundState.SUBMITTED, str(world.devnet.head.tipset.cids[0]))
    assert [name for name, _ in world.providers.signed].count("block") == 1


async def test_a_database_that_is_back_after_the_round_keeps_no_height_for_it(world, monkeypatch):
    tries = away_once(monkeypatch, "blocks_reserve")
    monkeypatch.setattr(context, "AWAY_S", 2.3)

    row = await won(world, budget_s=2.0)
    await until_async(lambda: len(tries) >= 2)
    await asyncio.sleep(0.3)

    assert row.state == RoundState.LATE
    assert not await in_thread(Block.objects.exists)


async def test_a_database_that_restarts_loses_no_reason_of_a_lost_win(world, monkeypatch):
    real, tries = rounds.rounds_publish, []

    def publish(rows):
        if rows[0].state == RoundState.PROOF_REFUSED:
            tries.append(rows)
            if len(tries) == 1:  # the UPDATE was done, and is not committed
                raise OperationalError("terminating connection due to administrator command")
        real(rows)

    monkeypatch.setattr(rounds, "rounds_publish", publish)
    monkeypatch.setattr(context, "AWAY_S", 0.05)
    world.providers.fails["proof"] = ProofRefused("the sector is not in a store")

    row = await won(world)

    assert len(tries) == 2
    assert (row.state, row.reason) == (RoundState.PROOF_REFUSED, "the sector is not in a store")


async def test_a_round_gives_up_on_a_database_that_stays_away(world, monkeypatch):
    monkeypatch.setattr(context, "AWAY_MAX_S", -1)
    away_once(monkeypatch, "wins_record")

    with pytest.raises(OperationalError):
        await won(world)
