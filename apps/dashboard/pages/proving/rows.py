"""Faults and disputes as rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext

from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.page_data import PageData

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.proving.models import Deadline, Dispute

FAULTS_MAX: Final = 100
SECTORS_NAMED: Final = 5


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
            gettext("in {left_s}").format(left_s=formatting.time_left(clock.left_s(last)))
            if last > clock.epoch
            else gettext("now")
        )
    if row.recovering >= row.faulty:
        recovery = gettext("declared")
    elif clock is not None and row.cutoff_epoch > clock.epoch:
        recovery, until = gettext("cutoff in"), clock.starts_at(row.cutoff_epoch)
    else:
        recovery = gettext("next period")
    return FaultRow(
        miner=name,
        index=row.index,
        href=reverse("proving-deadline", args=[miner.address, row.index]),
        sectors=plural(row.faulty, "sector"),
        since=gettext("epoch {faulty_since}").format(faulty_since=formatting.whole(row.faulty_since)),
        per_day=formatting.amount_text(data.fault_fee_per_day(miner, row.faulty)),
        ends=ends,
        recovery=recovery,
        until=until,
        left="" if until is None or clock is None else formatting.time_left(clock.left_s(row.cutoff_epoch)),
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
            word=gettext("upheld") if row.exit_code == 0 else gettext("rejected by the chain"),
            height=formatting.whole(row.height),
            sender=formatting.shortened(str(row.from_addr)),
        )
        for row in disputes
    ]
