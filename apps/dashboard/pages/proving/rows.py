"""Lines of the pages of proving: faults, bad files, looks, partitions and sectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext as say

from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.proving.selectors.faults import sectors_bad
from apps.proving.states import CheckState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_stubs_ext import StrOrPromise

    from apps.dashboard.page_data import PageData
    from apps.miners.models import Miner
    from apps.proving.models import CheckRun, Deadline, Dispute, SectorCheck

FAULTS_MAX: Final = 100
SECTORS_NAMED: Final = 5
CHECKS: Final[dict[str, StateLabel]] = {
    CheckState.RUNNING: StateLabel("run", "running"),
    CheckState.DONE: StateLabel("ok", "good"),
    CheckState.FAILED: StateLabel("warn", "not completed"),
}
BAD: Final = StateLabel("bad", "bad files")
SECTOR_WORDS: Final = {
    None: StateLabel("warn", "not faulty yet"),
    False: StateLabel("bad", "faulty"),
    True: StateLabel("warn", "recovering"),
}
"""Of a sector with bad files, by whether it is declared recovered; None: it is not faulty."""


@dataclass(frozen=True, slots=True)
class FaultRow:
    """The faulty sectors of one deadline."""

    miner: str
    index: int
    href: str
    sectors: str
    since: str
    per_day: str
    ends: str
    """When the chain terminates them."""
    recovery: str
    until: int | None
    left: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A sector whose files are missing or damaged in one store."""

    miner: str
    state: StateLabel
    number: int
    index: int
    href: str
    host: str
    store: str
    path: str
    reason: str
    since: str
    at: str
    test_href: str


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One look at sectors."""

    kind: str
    miner: str
    index: int
    partitions: str
    tone: str
    word: StrOrPromise
    host: str
    store: str
    count: str
    took: str
    at: str
    why: str


def risk_text(miss: float | None) -> str:
    """Return a probability as people read it."""
    if miss is None:
        return formatting.NOTHING
    return "< 0.1 %" if miss < 0.001 else f"{100 * miss:.1f} %"


def fault_rows(data: PageData) -> list[FaultRow]:
    """Lay out the deadlines with faulty sectors."""
    miners = {miner.pk: miner for miner in data.miners}
    rows = [row for row in data.deadlines.values() if row.faulty][:FAULTS_MAX]
    return [_fault_row(row, miners[row.miner_id].name or miners[row.miner_id].address, data) for row in rows]


def _fault_row(row: Deadline, name: str, data: PageData) -> FaultRow:
    clock, network = data.clock, data.network
    miner = next(miner for miner in data.miners if miner.pk == row.miner_id)
    until, ends = None, formatting.NOTHING
    if clock is not None and network is not None and row.faulty_since is not None:
        last = row.faulty_since + network.fault_max_age
        ends = (
            say("in {left_s}").format(left_s=formatting.time_left(clock.left_s(last)))
            if last > clock.epoch
            else "now"
        )
    if row.recovering >= row.faulty:
        recovery = "declared"
    elif clock is not None and row.cutoff_epoch > clock.epoch:
        recovery, until = "cutoff in", clock.starts_at(row.cutoff_epoch)
    else:
        recovery = "next period"
    return FaultRow(
        miner=name,
        index=row.index,
        href=reverse("proving-deadline", args=[miner.address, row.index]),
        sectors=plural(row.faulty, "sector"),
        since=say("epoch {faulty_since}").format(faulty_since=formatting.whole(row.faulty_since)),
        per_day=formatting.amount_text(data.fault_fee_per_day(miner, row.faulty)),
        ends=ends,
        recovery=recovery,
        until=until,
        left="" if until is None or clock is None else formatting.time_left(clock.left_s(row.cutoff_epoch)),
    )


def bad_rows(data: PageData) -> list[BadRow]:
    """Lay out the sectors whose files are bad: what looks found, and what a proof left out."""
    miners = {miner.pk: miner for miner in data.miners}
    rows = sectors_bad(list(miners), with_faulty=True)[:FAULTS_MAX]
    return [bad_row(row, miners[row.miner_id], data) for row in rows]


def bad_row(row: SectorCheck, miner: Miner, data: PageData) -> BadRow:
    """Lay out one sector in one store."""
    address, is_back = miner.address, data.faults.get((miner.pk, row.number))
    return BadRow(
        miner=miner.name or address,
        state=SECTOR_WORDS[is_back],
        number=row.number,
        index=row.deadline_index,
        href=reverse("proving-deadline", args=[address, row.deadline_index]),
        host=row.host or formatting.NOTHING,
        store=row.store or formatting.NOTHING,
        path=row.path or formatting.NOTHING,
        reason=row.reason,
        since=say("epoch {bad_since}").format(bad_since=formatting.whole(row.bad_since)),
        at=time_html(row.checked_at),
        test_href=reverse("proving-test", args=[address, row.number]),
    )


def check_rows(runs: Iterable[CheckRun], data: PageData) -> list[CheckRow]:
    """Lay out looks at sectors."""
    names = data.names.miners
    return [_check_row(run, names.get(run.miner.address, run.miner.address)) for run in runs]


def _check_row(run: CheckRun, name: str) -> CheckRow:
    label = BAD if run.bad else CHECKS[run.state]
    numbers = ", ".join(str(one["number"]) for one in run.bad[:SECTORS_NAMED])
    more = (
        say(" and {bad} more").format(bad=len(run.bad) - SECTORS_NAMED)
        if len(run.bad) > SECTORS_NAMED
        else ""
    )
    why = (
        say("sectors {numbers}{more}: {reason}").format(
            numbers=numbers, more=more, reason=run.bad[0]["reason"]
        )
        if run.bad
        else run.error
    )
    return CheckRow(
        kind=run.get_kind_display(),
        miner=name,
        index=run.deadline_index,
        partitions=", ".join(map(str, run.partitions)),
        tone=label.tone,
        word=label.word,
        host=run.host or formatting.NOTHING,
        store=run.store or formatting.NOTHING,
        count=formatting.whole(run.count),
        took=f"{run.ms:,} ms" if run.ms else formatting.NOTHING,
        at=time_html(run.created_at),
        why=why,
    )


@dataclass(frozen=True, slots=True)
class DisputeRow:
    """One dispute of a proof."""

    miner: str
    index: int
    href: str
    tone: str
    word: StrOrPromise
    height: str
    sender: str


def dispute_rows(disputes: Iterable[Dispute], data: PageData) -> list[DisputeRow]:
    """Lay out disputes, the newest first."""
    names = data.names.miners
    return [
        DisputeRow(
            miner=names.get(row.miner.address, row.miner.address),
            index=row.deadline_index,
            href=reverse("proving-deadline", args=[row.miner.address, row.deadline_index]),
            tone="bad" if row.exit_code == 0 else "ok",
            word="upheld" if row.exit_code == 0 else "rejected by the chain",
            height=formatting.whole(row.height),
            sender=formatting.shortened(str(row.from_addr)),
        )
        for row in disputes
    ]


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """One partition of a deadline."""

    index: int
    href: str
    all_sectors: str
    live: str
    active: str
    faulty: str
    recovering: str


def partition_rows(deadline: Deadline, address: str) -> list[PartitionRow]:
    """Lay out the partitions of a deadline."""
    return [
        PartitionRow(
            index=part.index,
            href=reverse("proving-partition", args=[address, deadline.index, part.index]),
            all_sectors=formatting.whole(len(part.all_sectors)),
            live=formatting.whole(len(part.live)),
            active=formatting.whole(len(part.active)),
            faulty=formatting.whole(len(part.faulty)),
            recovering=formatting.whole(len(part.recovering)),
        )
        for part in deadline.partitions.all()
    ]


@dataclass(frozen=True, slots=True)
class SectorRow:
    """One sector of a partition."""

    number: int
    tone: str
    word: StrOrPromise
    files: str
    host: str
    store: str
    path: str
    at: str
    test_href: str


def sector_row(number: int, *, word: StateLabel, checks: list[SectorCheck], address: str) -> SectorRow:
    """Lay out one sector with what was last found of its files."""
    found = next((row for row in checks if not row.is_good), checks[0] if checks else None)
    files = "not checked" if found is None else "good" if found.is_good else found.reason
    return SectorRow(
        number=number,
        tone=word.tone,
        word=word.word,
        files=files,
        host=formatting.NOTHING if found is None else found.host or formatting.NOTHING,
        store=formatting.NOTHING if found is None else found.store or formatting.NOTHING,
        path="" if found is None else found.path,
        at=formatting.NOTHING if found is None else time_html(found.checked_at),
        test_href=reverse("proving-test", args=[address, number]),
    )
