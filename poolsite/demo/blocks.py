"""Rounds of the election: wins with their blocks, some lost, and the sums of all other rounds."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, Final

from django.db import connection
from psycopg2 import sql

from apps.blocks.models import Block, MiningDay, Round
from apps.blocks.states import RoundState
from apps.miners.models import Miner
from poolsite.demo.figures import Figures
from poolsite.demo.world import (
    DAY_EPOCHS,
    EPOCH_S,
    HEIGHT,
    NETWORK_POWER,
    WIN_REWARD,
    World,
    cid,
    midnight,
    rows_write,
)

WINS_PER_EPOCH: Final = 5
LOSSES: Final[tuple[tuple[str, str], ...]] = (
    (RoundState.SIGNER_AWAY, "no connected signer holds the key"),
    (RoundState.PROOF_TIMEOUT, "no answer in time"),
    (RoundState.LATE, ""),
    (RoundState.ORPHANED, ""),
    (RoundState.NODE_AWAY, "no node responds"),
)
LOST_SHARE: Final = 0.035
BUDGET_MS: Final = 55_000
STEPS: Final = (
    ("base_info", 6_000, 240),
    ("election", 6_260, 60),
    ("ticket", 6_330, 30),
    ("proof", 6_370, 2_300),
    ("base", 8_700, 40),
    ("messages", 8_760, 210),
    ("create", 8_980, 160),
    ("reserve", 9_150, 12),
    ("sign", 9_170, 35),
    ("wait", 9_210, 20_780),
    ("submit", 30_000, 70),
)


PLAIN: Final = """insert into {table} (uuid, miner_id, epoch, base_height, state, why_not, expected,
    win_count, reason, steps, budget_ms, at)
    select md5(%s || n)::uuid, %s, n, n - 1, %s, '', %s, 0, '',
    '[["base_info", 6000, 240], ["election", 6260, 60]]', %s,
    %s::timestamptz - (%s - n) * %s * interval '1 second'
    from generate_series(%s::bigint, %s::bigint) n on conflict do nothing"""


def share_of(power: int) -> float:
    """Return the wins that a miner expects of each epoch."""
    return WINS_PER_EPOCH * power / NETWORK_POWER


def blocks_make(world: World, figures: Figures) -> None:
    """Make every win of the time that is told of, the latest rounds, and the sums of those before."""
    rounds: list[Round] = []
    days: list[MiningDay] = []
    kept_from = world.now - timedelta(hours=world.scale.round_hours)
    kept_height = world.height_at(kept_from)
    for miner in world.miners:
        for place, day in enumerate(world.days):
            begins = max(world.height_at(midnight(day)), HEIGHT - world.scale.days * DAY_EPOCHS)
            ends = min(world.height_at(midnight(day) + timedelta(days=1)), HEIGHT - 1)
            expected = share_of(figures.power(miner.pk, place))
            if ends <= begins:
                continue
            won = _wins(world, expected, begins, ends)
            rounds += [_round(world, miner, height, expected) for height in won]
            summed = min(ends, kept_height) - begins - sum(height < kept_height for height in won)
            if summed > 0:
                missed = 14 if day == (world.now - timedelta(days=17)).date() else 0
                days.append(
                    MiningDay(
                        miner=miner,
                        day=day,
                        rounds=summed,
                        eligible=summed,
                        missed=missed,
                        expected=expected * (summed - missed),
                    )
                )
    lately = sorted(rounds, key=lambda one: -one.epoch)[3:12:4]
    for place, row in enumerate(lately):  # some of the last day's are lost
        row.state, row.reason = LOSSES[place % 2]
        row.steps = row.steps[:4]
    rows_write(Round, rounds)
    made = [row for row in rounds if row.state in (RoundState.INCLUDED, RoundState.ORPHANED)]
    rows_write(Block, [_block(world, row) for row in made])
    rows_write(MiningDay, days)
    _plain(world, figures, kept_height)


def _wins(world: World, expected: float, begins: int, ends: int) -> list[int]:
    """Return the epochs of a day that are won: about as many as are expected."""
    mean = expected * (ends - begins)
    count = int(mean) + (world.chance.random() < mean % 1)
    return sorted(world.chance.sample(range(begins, ends), min(count, ends - begins)))


def _round(world: World, miner: Miner, height: int, expected: float) -> Round:
    state, reason, steps = RoundState.INCLUDED, "", _steps(world)
    if world.chance.random() < LOST_SHARE:
        state, reason = world.chance.choice(LOSSES)  # type: ignore[assignment]  # a state's own text
        if state in (RoundState.SIGNER_AWAY, RoundState.PROOF_TIMEOUT):
            steps = steps[:4] if state == RoundState.PROOF_TIMEOUT else steps[:9]
    return Round(
        uuid=world.uuid(),
        miner=miner,
        epoch=height,
        base_height=height - 1,
        state=state,
        expected=expected,
        win_count=1,
        sector=world.chance.randrange(30),
        reason=reason,
        steps=steps,
        budget_ms=BUDGET_MS,
        at=world.time_of(height),
    )


def _steps(world: World) -> list[list[str | int]]:
    """Return what was done in a round, now quicker and now slower."""
    found, late = list[list[str | int]](), 0
    for name, start, length in STEPS:
        took = length if name == "wait" else int(length * (0.7 + 0.9 * world.chance.random()))
        found.append([name, start + late, took])
        late += took - length
    return found


def _block(world: World, row: Round) -> Block:
    is_paid = row.state == RoundState.INCLUDED
    tips = world.chance.randrange(2, 60) * 10**12
    return Block(
        genesis=cid("genesis"),
        actor_id=row.miner.actor_id or 0,
        height=row.epoch,
        parents=hashlib.sha256(f"{row.miner.actor_id} {row.epoch}".encode()).digest(),
        unsigned=b"",
        cid=cid(f"block {row.miner.actor_id} {row.epoch}"),
        messages=world.chance.randrange(60, 320),
        round=row,
        submitted_at=row.at + timedelta(seconds=EPOCH_S),
        reward=WIN_REWARD + tips if is_paid else None,
        penalty=0 if is_paid else None,
        vesting_offset=row.miner.proving_period_start,
        reward_key=cid(f"head {row.epoch + 1}") if is_paid else "",
    )


def _plain(world: World, figures: Figures, since: int) -> None:
    """Make the latest rounds that were not won, one for each epoch, in the database."""
    query = sql.SQL(PLAIN).format(table=sql.Identifier(Round._meta.db_table))
    last = len(world.days) - 1
    with connection.cursor() as cursor:
        for miner in world.miners:
            expected = share_of(figures.power(miner.pk, last))
            values: list[Any] = [
                f"{miner.actor_id}:",
                miner.pk,
                str(RoundState.NO_WIN),
                expected,
                BUDGET_MS,
                world.now,
                HEIGHT,
                EPOCH_S,
                since + 1,
                HEIGHT - 1,
            ]
            cursor.execute(query, values)
