"""Checks of faulty sectors' clocks: until when a window takes declarations, when the chain ends them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from apps.checks import reasons
from apps.checks.findings.links import miner_link
from apps.checks.findings.parts import faults_part
from apps.checks.findings.results import Finding
from apps.checks.findings.text import grouped, miners_named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import termination_fees
from apps.core.formatting import whole
from apps.core.reasons import clauses, counted, lasting, listed
from apps.miners.models import Miner
from apps.proving.models import Deadline
from apps.proving.selectors.faults import Fault, faults_of, sectors_bad
from apps.proving.selectors.settings import recover_limits

PERIODS_LEFT: Final = 7
"""A faulty sector that the chain ends within so many proving periods, of 42, is named."""


def auto_terminations(data: CheckData) -> Iterator[Finding]:
    """Sectors that have been faulty for so long that the chain soon ends them and takes of their pledge."""
    if data.clock is None or data.network is None:
        return
    network = data.network
    before = data.clock.epoch - network.fault_max_age + PERIODS_LEFT * network.proving_period
    by_miner: dict[int, list[Fault]] = defaultdict(list)
    # The oldest fault of a deadline tells for all of them whether there is one.
    old = [
        row for row in data.deadlines.values() if row.faulty and (row.faulty_since or before + 1) <= before
    ]
    for fault in faults_of(old) if old else ():
        if fault.since <= before:
            by_miner[fault.miner_id].append(fault)
    fees = {
        miner.pk: termination_fees(data, miner, len(by_miner[miner.pk]))
        for miner in data.miners
        if miner.pk in by_miner
    }
    ill = [miner for miner in data.miners if miner.pk in fees]
    for group in grouped(sorted(ill, key=lambda miner: -fees[miner.pk])):
        rows = [fault for miner in group for fault in by_miner[miner.pk]]
        first = min(rows, key=lambda fault: fault.since)
        ends = first.since + network.fault_max_age
        yield Finding(
            f"terminations-{group[0].address or group[0].pk}",
            reasons.TERMINATIONS(sectors=counted(len(rows), "faulty sector"), group=miners_named(group)),
            reasons.FAULT_OLD(number=first.number, index=first.deadline_index, since=whole(first.since)),
            link=miner_link(group),
            count=len(rows),
            at_risk=sum(fees[miner.pk] for miner in group),
            due_s=data.clock.starts_at(ends),
            due_label=reasons.UNTIL_TERMINATED() if len(rows) == 1 else reasons.UNTIL_FIRST_TERMINATED(),
        )


def cutoffs_missed(data: CheckData) -> Iterator[Finding]:
    """Faults and recoveries that were not declared while the window that closes next took declarations."""
    if data.clock is None:
        return
    epoch = data.clock.epoch
    closed = {key: row for key, row in data.deadlines.items() if row.cutoff_epoch <= epoch < row.close_epoch}
    recoveries = _recoveries_missed([row for row in closed.values() if row.faulty > row.recovering], data)
    faults = Counter(
        (pk, index)
        for pk, rows in data.bad_sectors.items()
        for index in {row.number: row.deadline_index for row in rows}.values()
        if (pk, index) in closed
    )
    late = recoveries + faults
    for group in grouped([miner for miner in data.miners if any(pk == miner.pk for pk, _ in late)]):
        keys = [key for key in sorted(late) if key[0] in {miner.pk for miner in group}]
        yield Finding(
            f"cutoff-{group[0].address or group[0].pk}",
            reasons.CUTOFFS_MISSED(
                declarations=counted(sum(late[key] for key in keys), "declaration"),
                group=miners_named(group),
            ),
            clauses(
                *(
                    _missed_text(closed[key], recoveries=recoveries[key], faults=faults[key], data=data)
                    for key in keys
                )
            ),
            link=miner_link(group),
            count=sum(late[key] for key in keys),
            per_day=sum(_per_day(miner, late, data) for miner in group),
            is_part=True,  # of what these sectors cost by `sectors_faulty` and `sector_files`
            needs=tuple((faults_part(key[0]),) if not faults[key] else () for key in keys),
        )


def _recoveries_missed(rows: list[Deadline], data: CheckData) -> Counter[tuple[int, int]]:
    """Return how many sectors stay faulty though their files are there, by miner and deadline.

    Those beyond what one window declares are named by `recoveries_capped`.
    """
    missed: Counter[tuple[int, int]] = Counter()
    if not rows:
        return missed
    closed = {(row.miner_id, row.index): row for row in rows}
    miners = {row.miner_id for row in rows}
    bad = {
        (row.miner_id, row.number)
        for row in (sectors_bad(miners, with_faulty=True) if data.rare.sectors_bad else ())
    }
    for fault in faults_of(rows):
        key = fault.miner_id, fault.deadline_index
        was_there = fault.since < closed[key].cutoff_epoch
        missed[key] += was_there and not fault.is_recovering and (fault.miner_id, fault.number) not in bad
    limits = recover_limits(miners)
    for key, row in closed.items():
        missed[key] = min(missed[key], max(limits[row.miner_id] - row.recovering, 0))
    return +missed


def _missed_text(row: Deadline, *, recoveries: int, faults: int, data: CheckData) -> str:
    """Return what was not declared of a deadline, and when it can be again."""
    texts = []
    if recoveries:
        texts.append(reasons.STAYS_FAULTY(sectors=counted(recoveries, "sector")))
    if faults:
        texts.append(reasons.UNDECLARED(sectors=counted(faults, "sector")))
    assert data.clock is not None
    left = lasting(data.clock.left_s(row.close_epoch))
    return reasons.CUTOFF_WAS(index=row.index, words=listed(texts), left=left)


def _per_day(miner: Miner, late: Counter[tuple[int, int]], data: CheckData) -> int:
    return data.fault_fee_per_day(miner, sum(count for (pk, _), count in late.items() if pk == miner.pk))
