"""Checks of sectors' files, and the sectors that failed them, as rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import list_text
from apps.core.reasons import shown_text
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.proving.partition_rows import SECTOR_TEXTS
from apps.dashboard.pages.proving.rows import FAULTS_MAX, SECTORS_NAMED
from apps.proving.selectors.faults import sectors_bad
from apps.proving.states import CheckState

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Miner
    from apps.proving.models import CheckRun, SectorCheck

CHECKS: Final[dict[str, StateLabel]] = {
    CheckState.RUNNING: StateLabel("run", _("running")),
    CheckState.DONE: StateLabel("ok", _("good")),
    CheckState.FAILED: StateLabel("warn", _("not completed")),
}
BAD: Final = StateLabel("bad", _("bad files"))


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
        state=SECTOR_TEXTS[is_back],
        number=row.number,
        index=row.deadline_index,
        href=reverse("proving-deadline", args=[address, row.deadline_index]),
        host=row.host or formatting.NOTHING,
        store=row.store or formatting.NOTHING,
        path=row.path or formatting.NOTHING,
        reason=shown_text(row.reason),
        since=gettext("epoch {bad_since}").format(bad_since=formatting.whole(row.bad_since)),
        at=time_html(row.checked_at),
        test_href=reverse("proving-test", args=[address, row.number]),
    )


def check_rows(runs: Iterable[CheckRun], data: PageData) -> list[CheckRow]:
    """Lay out looks at sectors."""
    names = data.names.miners
    return [_check_row(run, names.get(run.miner.address, run.miner.address)) for run in runs]


def _check_row(run: CheckRun, name: str) -> CheckRow:
    label = BAD if run.bad else CHECKS[CheckState.FAILED if run.error else run.state]
    numbers = list_text(str(one["number"]) for one in run.bad[:SECTORS_NAMED])
    more = (
        gettext(" and {bad} more").format(bad=len(run.bad) - SECTORS_NAMED)
        if len(run.bad) > SECTORS_NAMED
        else ""
    )
    why = (
        gettext("sectors {numbers}{more}: {reason}").format(
            numbers=numbers, more=more, reason=shown_text(run.bad_reasons[0])
        )
        if run.bad
        else shown_text(run.error)
    )
    return CheckRow(
        kind=run.get_kind_display(),
        miner=name,
        index=run.deadline_index,
        partitions=list_text(run.partitions),
        tone=label.tone,
        word=label.word,
        host=run.host or formatting.NOTHING,
        store=run.store or formatting.NOTHING,
        count=formatting.whole(run.count),
        took=f"{run.ms:,} ms" if run.ms else formatting.NOTHING,
        at=time_html(run.created_at),
        why=why,
    )
