"""Paused sectors, snap-ups and rebuilds, by the stage that failed and the words of its error."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from apps.sectors.host_selectors import worker_machine
from apps.sectors.models import JobEvent
from apps.sectors.run_models import PipelineRun
from apps.sectors.selectors import resume_choices, sectors_visible
from apps.sectors.states import PAUSED_BY
from apps.sectors.stopped_work import runs_stopped
from poolsite.wire.jobs import JobKind, Level

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.sectors.host_models import Worker
    from apps.sectors.models import Sector
    from apps.users.principals import Principal

FAILURES_MAX: Final = 5_000
"""Paused sectors, and stopped runs, that are grouped; the oldest ones beyond are left out."""
NAMES: Final = re.compile(r"(/[\w.\-]+)+|\b(?:baf|bag)\w{20,}|\b[0-9a-f]{12,}\b|\b[ft]0?\d+\b|\d[\d.,:]*")
"""What differs from sector to sector in the words of one error."""
ADVICE: Final = (
    (r"no space|disk full|ENOSPC", _("free disk space on the host, then retry")),
    (r"the chain would refuse|message ended with|exit code", _("see why the chain refuses it, then retry")),
    (r"nonce|base fee|funds|balance|insufficient", _("fund the sender, then retry")),
    (
        r"damaged|corrupt|mismatch|differs|wrong",
        _("go back to an earlier stage: the files are made anew; if one host does it again, test its memory"),
    ),
    (r"no such file|not found|missing", _("bring the files back, or go back to an earlier stage")),
    (PAUSED_BY, _("retry when it may go on")),
    (r"gave up|killed|signal|memory", _("give the host more memory or fewer slots, then retry")),
)
"""What helps against errors with such words; the first that fits."""


@dataclass(slots=True)
class FailureGroup:
    """Sectors that failed alike."""

    key: str
    """The fingerprint."""
    kind: str
    """Of a sector that is sealed, or of a run over a proven one (`poolsite.wire.jobs.JobKind`)."""
    state: str
    stage: str
    text: str
    """The newest error, as it is."""
    level: str
    advice: str
    back: tuple[str, ...]
    """Earlier states from which they can go on."""
    since: datetime
    last: datetime
    hosts: list[str] = field(default_factory=list)
    sectors: list[Sector] = field(default_factory=list)
    runs: dict[int, PipelineRun] = field(default_factory=dict)
    """Of snap-ups and rebuilds: what stopped, by the key of its sector."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.sectors)


def fingerprint(stage: str, error: str) -> str:
    """Return what sectors that failed alike have in common."""
    words = NAMES.sub("#", error)[:300]
    return hashlib.sha256(f"{stage}\0{words}".encode()).hexdigest()[:12]


def advice_of(error: str) -> str:
    """Return what helps."""
    fits = (words for pattern, words in ADVICE if re.search(pattern, error, re.IGNORECASE))
    return str(next(fits, _("retry; if it fails again, go back to an earlier stage")))


def failures_grouped(viewer: Principal) -> list[FailureGroup]:
    """Return what stopped and this caller may know of by fingerprint, the largest group first."""
    groups: dict[str, FailureGroup] = {}
    rows = sectors_visible(viewer).exclude(paused_at=None).order_by("-paused_at", "-pk")
    for sector in rows[:FAILURES_MAX]:
        group = _group_of(groups, JobKind.SEAL, sector, level=sector.error_level)
        group.back = group.back or resume_choices(sector)[1:]
        group.sectors.append(sector)
        _host_add(group, sector.job.sticky_worker)
    runs = list(runs_stopped(sectors_visible(viewer)).order_by("-paused_at", "-pk")[:FAILURES_MAX])
    hosts = _hosts_of(runs)
    for run in runs:
        group = _group_of(groups, run.kind, run, level=Level.PERMANENT)
        group.back = tuple(run.step.resume_at)
        group.sectors.append(run.sector)
        group.runs[run.sector_id] = run
        _host_add(group, hosts.get(run.job_id))
    return sorted(groups.values(), key=lambda one: (-one.count, one.key))


def _group_of(
    groups: dict[str, FailureGroup], kind: str, row: Sector | PipelineRun, *, level: str
) -> FailureGroup:
    """Return the group of what stopped; its first one is the newest."""
    stage = str(row.step.stage if isinstance(row, PipelineRun) else row.stage)
    key = fingerprint(stage if kind == JobKind.SEAL else f"{kind} {stage}", row.error)
    at = row.paused_at or row.updated_at
    group = groups.get(key)
    if group is None:
        group = groups[key] = FailureGroup(
            key=key,
            kind=kind,
            state=row.state,
            stage=stage,
            text=row.error,
            level=level,
            advice=advice_of(row.error),
            back=(),
            since=at,
            last=at,
        )
    group.since = min(group.since, at)
    return group


def _hosts_of(runs: Sequence[PipelineRun]) -> dict[int, Worker]:
    """Return the host that reported a run's last failure, by its job; no row where the console found it."""
    told = JobEvent.objects.filter(job__in=[run.job_id for run in runs], is_error=True).exclude(worker=None)
    return {
        event.job_id: event.worker for event in told.select_related("worker").order_by("pk") if event.worker
    }


def _host_add(group: FailureGroup, worker: Worker | None) -> None:
    if worker is not None and (host := worker_machine(worker)) not in group.hosts:
        group.hosts.append(host)
