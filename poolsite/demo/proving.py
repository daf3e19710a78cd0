"""Deadlines with their partitions, and the proofs of all windows: on time but for some that were missed."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Final

from apps.miners.models import Miner
from apps.proving.models import Deadline, Partition, PostNote, WindowPost
from apps.proving.reasons import MISSED, UNCLAIMED
from apps.proving.states import Forecast, PostState
from apps.sectors.models import Sector
from poolsite.demo.messages import landed
from poolsite.demo.world import HEIGHT, POST_PROOF, TimesGiven, World, rows_write
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_proving import PoStPartition, SubmitWindowedPoStParams
from poolsite.filecoin.bitfield import BitField
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.policy import MADE_UP
from poolsite.wire.pipeline import SectorState

WINDOW: Final = MADE_UP.proving.window
PERIOD: Final = MADE_UP.proving_period
CUTOFF: Final = MADE_UP.proving.fault_cutoff
LOOKBACK: Final = MADE_UP.proving.lookback
FAULTY_DAYS: Final = 3
"""So long ago the windows were missed whose sectors are faulty since."""


def proving_make(world: World) -> None:
    """Make the deadlines, partitions, and every window's proof with its message."""
    held: defaultdict[int, defaultdict[int, list[Sector]]] = defaultdict(lambda: defaultdict(list))
    for sector in world.sectors:
        if sector.state == SectorState.PROVING and sector.deadline is not None:
            held[sector.miner_id][sector.deadline].append(sector)
    deadlines, partitions, posts = [], [], []
    notes: list[PostNote] = []
    for miner in world.miners:
        for index in range(MADE_UP.proving.deadlines):
            own = held[miner.pk][index]
            row = _deadline(world, miner, index, own)
            deadlines.append(row)
            if own:
                faulty = [one.number for one in own if not one.active]
                since = HEIGHT - FAULTY_DAYS * PERIOD
                partitions.append(
                    Partition(
                        deadline=row,
                        index=0,
                        all_sectors=sorted(one.number for one in own),
                        live=sorted(one.number for one in own),
                        active=sorted(one.number for one in own if one.active),
                        faulty=sorted(faulty),
                        faulty_since={str(number): since for number in faulty},
                        recovering=[],
                    )
                )
                posts += _posts(world, miner, row, own, notes)
    rows_write(Deadline, deadlines)
    rows_write(Partition, partitions)
    with TimesGiven(WindowPost):
        rows_write(WindowPost, posts)
    rows_write(PostNote, notes)


def _deadline(world: World, miner: Miner, index: int, own: list[Sector]) -> Deadline:
    start = miner.proving_period_start or 0
    opens = start + index * WINDOW
    if opens + WINDOW <= HEIGHT:
        start, opens = start + PERIOD, opens + PERIOD
    faulty = sum(1 for one in own if not one.active)
    forecast, reason = Forecast.NOTHING, ""
    if own and opens - LOOKBACK > HEIGHT:
        forecast = Forecast.LATER
    elif own:
        forecast = Forecast.LANDED if HEIGHT - opens > 20 else Forecast.WILL_LAND
    return Deadline(
        miner=miner,
        index=index,
        period_start=start,
        open_epoch=opens,
        close_epoch=opens + WINDOW,
        challenge_epoch=opens - LOOKBACK,
        cutoff_epoch=opens - CUTOFF,
        partitions_count=1 if own else 0,
        live=len(own),
        active=len(own) - faulty,
        faulty=faulty,
        faulty_since=HEIGHT - FAULTY_DAYS * PERIOD if faulty else None,
        forecast=forecast,
        reason=reason,
        refreshed_height=HEIGHT,
        stores=sorted({one.store for one in own}),
        miss=0.0002 + world.chance.random() * 0.001 if own else None,
    )


def _posts(
    world: World, miner: Miner, deadline: Deadline, own: list[Sector], notes: list[PostNote]
) -> list[WindowPost]:
    """Return the proofs of a deadline's windows, the oldest first."""
    chance, rows = world.chance, []
    born = min(one.activation or 0 for one in own)
    has_faults = any(not one.active for one in own)
    bad_day = world.miners.index(miner) == len(world.miners) // 3
    for ago in range(world.scale.days - 1, -1, -1):
        opens = deadline.open_epoch - ago * PERIOD
        if opens < born + 4 * WINDOW or opens > HEIGHT:
            continue
        numbers = [one for one in own if (one.activation or 0) < opens]
        slow = 1 + 5 * (chance.random() < 0.04) + 3 * (30 < ago < 36)
        lands = opens + min(4 + int(chance.random() * 6 * slow), WINDOW - 6)
        missed = (has_faults and ago in (FAULTY_DAYS, FAULTY_DAYS + 1)) or (bad_day and ago == 41)
        row = WindowPost(
            uuid=world.uuid(),
            miner=miner,
            deadline_index=deadline.index,
            open_epoch=opens,
            close_epoch=opens + WINDOW,
            challenge_epoch=opens - LOOKBACK,
            partitions=[0],
            randomness=chance.randbytes(32),
            created_at=world.time_of(opens - LOOKBACK),
            updated_at=world.time_of(min(lands, HEIGHT)),
        )
        if missed:
            row.state, row.error = PostState.MISSED, MISSED()
            row.updated_at = world.time_of(opens + WINDOW)
            notes.append(PostNote(post=row, at=row.updated_at, epoch=row.close_epoch, words=UNCLAIMED()))
        elif lands >= HEIGHT:
            row.state, row.proved_at = PostState.PROVED, world.time_of(opens)
        else:
            _land(world, row, lands, sectors=len(numbers))
        rows.append(row)
    return rows


def _land(world: World, row: WindowPost, lands: int, *, sectors: int) -> None:
    """Land a proof at an epoch by a message of its own."""
    params = SubmitWindowedPoStParams(
        deadline=row.deadline_index,
        partitions=(PoStPartition(0, BitField()),),
        proofs=(PoStProof(int(POST_PROOF), bytes(192)),),
        chain_commit_epoch=row.open_epoch,
        chain_commit_rand=bytes(row.randomness),
    )
    message = landed(
        world,
        wallet=world.controls[row.miner.tenant_id],
        to=row.miner.address,
        method=int(Method.SUBMIT_WINDOWED_POST),
        at=world.time_of(lands) + timedelta(seconds=1),
        gas_used=31_000_000 + sectors * 11_000,
        kind="window_post",
        params=to_cbor(params),
    )
    row.state, row.landed_height, row.exit_code = PostState.LANDED, lands, 0
    row.message_id, row.messages_sent, row.sent_height = message.id, 1, lands - 2
    row.proved_at = world.time_of(row.open_epoch - 8)
