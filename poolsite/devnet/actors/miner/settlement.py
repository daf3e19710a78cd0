"""The end of a deadline: what was not proven becomes faulty, fees are due, sectors end, the next one opens.

Source: builtin-actors actors/miner/src/lib.rs handle_proving_deadline, state.rs advance_deadline,
deadline_state.rs process_deadline_end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.market.activation import sectors_deals_end
from poolsite.devnet.actors.miner.enrol import cron_at
from poolsite.devnet.actors.miner.funds import penalty_apply
from poolsite.devnet.actors.miner.partitions import faults_add, queue_due, sectors_end
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, sector_quality
from poolsite.devnet.actors.vesting import vesting_unlock
from poolsite.devnet.state.sector_rows import precommits_of

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Machine
    from poolsite.devnet.state.sector_rows import Partition
    from poolsite.filecoin.deadlines import DeadlineInfo

EXPIRED_PRECOMMIT_CLEAN_UP_DELAY = 8 * 60 * 2
"""Epochs (8 hours at 30 s) for which an expired pre-commit is kept.

Source: builtin-actors runtime/src/runtime/policy.rs EXPIRED_PRE_COMMIT_CLEAN_UP_DELAY.
"""


@dataclass(slots=True)
class Totals:
    """What the deadline's partitions add up to."""

    faulty_before: int = 0
    """Quality-adjusted power that was faulty before this end."""
    live_fee: int = 0
    """Sum of the daily fees of live sectors."""
    live_quality: int = 0
    raw: int = 0
    """Change of the miner's power."""
    quality: int = 0
    released: int = 0
    """Pledge of the sectors that ended."""
    termination_fee: int = 0


def deadline_settle(machine: Machine, miner_id: int) -> None:
    """Settle the miner's current deadline at its last epoch and wake the miner at the next one's."""
    editor = MinerStateEditor(machine, miner_id)
    now = machine.epoch
    _worker_activate(editor, now)
    info = editor.deadline_recorded(now)
    totals = _partitions_settle(editor, info)
    _fees_charge(editor, totals, now)
    following = (info.index + 1) % machine.network.proving.deadlines
    start = info.period_start if following else info.next_period_start
    miner = editor.change(deadline=following, period_start=start)
    has_precommits = bool(machine.draft.keys(precommits_of(miner_id)))
    is_needed = has_precommits or miner.pledge > 0 or miner.locked > 0 or miner.deposits > 0
    if is_needed:
        cron_at(editor, editor.deadline_recorded(now + 1).last)
    else:
        editor.change(cron_active=False)


def _worker_activate(editor: MinerStateEditor, now: int) -> None:
    miner = editor.miner
    if miner.new_worker is not None and miner.worker_change_epoch <= now:
        editor.change(worker=miner.new_worker, new_worker=None, worker_change_epoch=-1)


def _partitions_settle(editor: MinerStateEditor, info: DeadlineInfo) -> Totals:
    totals = Totals()
    deadline = editor.deadline(info.index)
    expiration = info.quantization.up(info.last + editor.network.fault_max_age)
    for index in range(deadline.partitions):
        partition = editor.partition(info.index, index)
        if partition is None:
            continue
        totals.faulty_before += editor.power(partition.faults)[1]
        settled = partition
        if index not in deadline.posted and partition.live:
            settled = _missed(editor, partition, expiration=expiration, totals=totals)
        settled = _ended(editor, settled, info=info, totals=totals)
        live = editor.sectors(settled.live)
        totals.live_fee += sum(sector.daily_fee for sector in live)
        totals.live_quality += editor.power(settled.live)[1]
        if settled != partition:
            editor.save_partition(info.index, index, settled)
    if deadline.posted:
        editor.save_deadline(info.index, replace(deadline, posted=()))
    else:
        editor.proofs_forget(info.index)
    return totals


def _missed(editor: MinerStateEditor, partition: Partition, *, expiration: int, totals: Totals) -> Partition:
    """No proof came: active and new sectors become faulty, declared recoveries are void."""
    raw, quality = editor.power(partition.active)
    totals.raw -= raw
    totals.quality -= quality
    failed = set(partition.active) | set(partition.unproven)
    return replace(faults_add(partition, failed, expiration=expiration), recoveries=())


def _ended(
    editor: MinerStateEditor, partition: Partition, *, info: DeadlineInfo, totals: Totals
) -> Partition:
    """Sectors that reached their end: on time they give back their pledge, early ones pay a fee too."""
    expirations, on_time = queue_due(partition.expirations, info.last)
    early_queue, early = queue_due(partition.early, info.last)
    if not on_time and not early:
        return partition
    active = set(partition.active)
    raw, quality = editor.power(number for number in (*on_time, *early) if number in active)
    totals.raw -= raw
    totals.quality -= quality
    totals.released += sum(sector.pledge for sector in editor.sectors((*on_time, *early)))
    sectors_deals_end(editor.state, editor.id, early, epoch=editor.machine.epoch)
    money = economy(editor.machine)
    for sector in editor.sectors(early):
        quality = sector_quality(sector, editor.miner.sector_size)
        totals.termination_fee += money.termination_fee(sector, quality=quality, epoch=info.last)
    partition = replace(partition, expirations=expirations, early=early_queue)
    return sectors_end(partition, (*on_time, *early))


def _fees_charge(editor: MinerStateEditor, totals: Totals, now: int) -> None:
    """Pay penalties and fees out of vesting funds, then the balance; burn expired deposits."""
    money = economy(editor.machine)
    miner = editor.miner
    burnt = _precommits_expire(editor, now)
    miner = replace(miner, deposits=miner.deposits - burnt, pledge=miner.pledge - totals.released)
    penalty = burnt + totals.termination_fee
    if totals.faulty_before:
        penalty += money.fault_fee(totals.faulty_before)
    if totals.live_fee:
        penalty += min(totals.live_fee, money.day_reward(totals.live_quality) // 2)
    miner = vesting_unlock(penalty_apply(editor.machine, editor.id, miner, penalty), now=now)
    editor.save(miner)
    editor.pledge_change(-totals.released)
    if totals.raw or totals.quality:
        editor.power_change(totals.raw, totals.quality)


def _precommits_expire(editor: MinerStateEditor, now: int) -> int:
    """Remove pre-commits that were never proven; returns the deposits that are lost."""
    table = precommits_of(editor.id)
    lost = 0
    limit = editor.network.max_prove_commit_duration + EXPIRED_PRECOMMIT_CLEAN_UP_DELAY
    for number in editor.state.keys(table):
        row = editor.precommit(number)
        if row is not None and now >= row.epoch + limit:
            lost += row.deposit
            editor.state.delete(table, number)
    return lost
