"""The end of a deadline: what was not proven becomes faulty, fees are due, sectors end, the next one opens.

Source: builtin-actors actors/miner/src/lib.rs handle_proving_deadline, state.rs advance_deadline,
deadline_state.rs process_deadline_end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.market.activation import sectors_deals_end
from poolsite.devnet.actors.miner.book import Book, sector_quality
from poolsite.devnet.actors.miner.enrol import cron_at
from poolsite.devnet.actors.miner.funds import penalty_apply
from poolsite.devnet.actors.miner.partitions import faults_add, queue_due, sectors_end
from poolsite.devnet.actors.vesting import vesting_unlock
from poolsite.devnet.state.rows import precommits_of

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Machine
    from poolsite.devnet.state.rows import Partition
    from poolsite.filecoin.deadlines import DeadlineInfo

EXPIRED_PRECOMMIT_CLEAN_UP_DELAY = 8 * 60 * 2
"""Epochs (8 hours at 30 s) for which an expired pre-commit is kept.  Source: policy.rs."""


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
    book = Book(machine, miner_id)
    now = machine.epoch
    _worker_activate(book, now)
    info = book.deadline_recorded(now)
    totals = _partitions_settle(book, info)
    _fees_take(book, totals, now)
    following = (info.index + 1) % machine.network.proving.deadlines
    start = info.period_start if following else info.next_period_start
    miner = book.change(deadline=following, period_start=start)
    has_precommits = bool(machine.draft.keys(precommits_of(miner_id)))
    is_needed = has_precommits or miner.pledge > 0 or miner.locked > 0 or miner.deposits > 0
    if is_needed:
        cron_at(book, book.deadline_recorded(now + 1).last)
    else:
        book.change(cron_active=False)


def _worker_activate(book: Book, now: int) -> None:
    miner = book.miner
    if miner.new_worker is not None and miner.worker_change_epoch <= now:
        book.change(worker=miner.new_worker, new_worker=None, worker_change_epoch=-1)


def _partitions_settle(book: Book, info: DeadlineInfo) -> Totals:
    totals = Totals()
    deadline = book.deadline(info.index)
    expiration = info.quantization.up(info.last + book.network.fault_max_age)
    for index in range(deadline.partitions):
        partition = book.partition(info.index, index)
        if partition is None:
            continue
        totals.faulty_before += book.power(partition.faults)[1]
        settled = partition
        if index not in deadline.posted and partition.live:
            settled = _missed(book, partition, expiration=expiration, totals=totals)
        settled = _ended(book, settled, info=info, totals=totals)
        live = book.sectors(settled.live)
        totals.live_fee += sum(sector.daily_fee for sector in live)
        totals.live_quality += book.power(settled.live)[1]
        if settled != partition:
            book.save_partition(info.index, index, settled)
    if deadline.posted:
        book.save_deadline(info.index, replace(deadline, posted=()))
    else:
        book.proofs_forget(info.index)
    return totals


def _missed(book: Book, partition: Partition, *, expiration: int, totals: Totals) -> Partition:
    """No proof came: active and new sectors become faulty, declared recoveries are void."""
    raw, quality = book.power(partition.active)
    totals.raw -= raw
    totals.quality -= quality
    failed = set(partition.active) | set(partition.unproven)
    return replace(faults_add(partition, failed, expiration=expiration), recoveries=())


def _ended(book: Book, partition: Partition, *, info: DeadlineInfo, totals: Totals) -> Partition:
    """Sectors that reached their end: on time they give back their pledge, early ones pay a fee too."""
    expirations, on_time = queue_due(partition.expirations, info.last)
    early_queue, early = queue_due(partition.early, info.last)
    if not on_time and not early:
        return partition
    active = set(partition.active)
    raw, quality = book.power(number for number in (*on_time, *early) if number in active)
    totals.raw -= raw
    totals.quality -= quality
    totals.released += sum(sector.pledge for sector in book.sectors((*on_time, *early)))
    sectors_deals_end(book.state, book.id, early, epoch=book.machine.epoch)
    money = economy(book.machine)
    for sector in book.sectors(early):
        quality = sector_quality(sector, book.miner.sector_size)
        totals.termination_fee += money.termination_fee(sector, quality=quality, epoch=info.last)
    partition = replace(partition, expirations=expirations, early=early_queue)
    return sectors_end(partition, (*on_time, *early))


def _fees_take(book: Book, totals: Totals, now: int) -> None:
    """Take penalties and fees out of vesting funds, then the balance; burn expired deposits."""
    money = economy(book.machine)
    miner = book.miner
    burnt = _precommits_expire(book, now)
    miner = replace(miner, deposits=miner.deposits - burnt, pledge=miner.pledge - totals.released)
    penalty = burnt + totals.termination_fee
    if totals.faulty_before:
        penalty += money.fault_fee(totals.faulty_before)
    if totals.live_fee:
        penalty += min(totals.live_fee, money.day_reward(totals.live_quality) // 2)
    miner = vesting_unlock(penalty_apply(book.machine, book.id, miner, penalty), now=now)
    book.save(miner)
    book.pledge_change(-totals.released)
    if totals.raw or totals.quality:
        book.power_change(totals.raw, totals.quality)


def _precommits_expire(book: Book, now: int) -> int:
    """Remove pre-commits that were never proven; returns the deposits that are lost."""
    table = precommits_of(book.id)
    lost = 0
    limit = book.network.max_prove_commit_duration + EXPIRED_PRECOMMIT_CLEAN_UP_DELAY
    for number in book.state.keys(table):
        row = book.precommit(number)
        if row is not None and now >= row.epoch + limit:
            lost += row.deposit
            book.state.delete(table, number)
    return lost
