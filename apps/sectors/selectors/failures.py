"""What failed, by the stage and the words of its error: sectors, and whatever is done with proven ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.core.alike import fingerprint
from apps.core.reasons import code_of, is_whole, reasons_within
from apps.messages.models import Message
from apps.messages.reasons import NEEDS
from apps.miners.selectors.miners import miners_visible
from apps.sectors.errors.sectors import FailureUnknown
from apps.sectors.models import Job, JobEvent, PipelineRun, Sector, SectorChange, StoreMove, Worker
from apps.sectors.reasons import (
    BALANCE_SHORT,
    COMM_R_DIFFERS,
    COUNT_MISSING,
    EXITED_WITH,
    MESSAGE_ENDED,
    MISSING_IN,
    PAYER_KEEPS,
    PAYER_SHORT,
    TOO_MUCH,
    WOULD_REFUSE,
    WOULD_REFUSE_IT,
    WOULD_REFUSE_UPDATE,
)
from apps.sectors.selectors.change_prices import ChangeRequest
from apps.sectors.selectors.hosts import worker_machine
from apps.sectors.selectors.sectors import resume_choices, sectors_visible
from apps.sectors.selectors.stopped_work import (
    COMPACT,
    changes_failed,
    compaction_place,
    compactions_failed,
    moves_failed,
    runs_stopped,
    unseals_failed,
)
from apps.users.rules.principals import Principal
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.wire.job_reports import Level
from poolsite.wire.jobs import RUN_KINDS, JobKind
from poolsite.wire.pipeline.changes import ChangeKind

Failed = Sector | PipelineRun | SectorChange | StoreMove | Job | Message
"""A row that failed; a job is one of unsealing, a message compacts a deadline."""

FAILURES_MAX: Final = 5_000
"""Rows of each kind that are grouped; the oldest ones beyond are left out."""
ENDED_SHOWN: Final = timedelta(days=7)
"""So long those are listed that have ended with their failure: changes, moves, unsealing and compaction."""
MOVE: Final = "move"
CHANGES: Final = tuple(str(kind).lower() for kind in ChangeKind)
KINDS: Final = (str(JobKind.SEAL), *map(str, RUN_KINDS), str(JobKind.UNSEAL), *CHANGES, MOVE, COMPACT)
"""What fails: sealing, and what is done with a proven sector."""
OF_CHAIN: Final = _("find out why the chain refuses it, then retry")
OF_FUNDS: Final = _("fund the sender, then retry")
OF_DAMAGE: Final = _(
    "go back to an earlier stage to remake the files; if it recurs on one host, test its memory"
)
OF_FILES: Final = _("restore the files, or go back to an earlier stage")
ADVICE_BY_CODE: Final = {
    **dict.fromkeys(
        [
            one.code
            for one in (WOULD_REFUSE, WOULD_REFUSE_UPDATE, WOULD_REFUSE_IT, MESSAGE_ENDED, EXITED_WITH)
        ],
        OF_CHAIN,
    ),
    **dict.fromkeys(
        [one.code for one in (BALANCE_SHORT, TOO_MUCH, PAYER_SHORT, PAYER_KEEPS, NEEDS)], OF_FUNDS
    ),
    **dict.fromkeys([one.code for one in (MISSING_IN, COUNT_MISSING)], OF_FILES),
    COMM_R_DIFFERS.code: OF_DAMAGE,
}
"""What helps against our own reasons."""
ADVICE: Final = (
    (r"no space|disk full|ENOSPC", _("free disk space on the host, then retry")),
    (r"nonce|base fee|funds|balance|insufficient", OF_FUNDS),
    (r"damaged|corrupt|mismatch|differs|wrong|incorrect", OF_DAMAGE),
    (r"no such file|not found|missing", OF_FILES),
    (r"gave up|killed|signal|memory", _("give the host more memory or fewer slots, then retry")),
)
"""What helps against what another program said, which has no codes: the first whose words are in it."""
ADVICE_OF_ENDED: Final = {
    JobKind.UNSEAL: _("make sure that the sector's store can be read, then retry; rebuild a damaged replica"),
    MOVE: _(
        "make sure that both stores respond and have room, then retry; the sector is still in its old store"
    ),
    COMPACT: _("find out why the chain refuses it, then compact the deadline again"),
    **dict.fromkeys(
        CHANGES, _("find out why the chain refuses it, then request it again at the current price")
    ),
}
"""What helps where no stage can be gone back to."""


@dataclass(slots=True)
class FailureGroup:
    """Sectors that failed alike."""

    key: str
    """The fingerprint."""
    kind: str
    """One of `KINDS`."""
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
    rows: list[Failed] = field(default_factory=list)
    """What failed, in the order of its sectors: of a sector that is sealed, itself."""
    deadlines: list[tuple[str, int]] = field(default_factory=list)
    """Of compactions, which have no sectors: the miner's address and the deadline of each."""

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self.rows)


def advice_of(kind: str, error: str) -> str:
    """Return what helps."""
    if kind in ADVICE_OF_ENDED:
        return str(ADVICE_OF_ENDED[kind])
    parts = list(reasons_within(error))
    for part in parts:
        if (own := ADVICE_BY_CODE.get(code_of(part))) is not None:
            return str(own)
    foreign = "\n".join(part for part in parts if not (code := code_of(part)) or is_whole(code))
    fits = (text for pattern, text in ADVICE if re.search(pattern, foreign, re.IGNORECASE))
    return str(next(fits, _("retry; if it fails again, go back to an earlier stage")))


def failures_grouped(viewer: Principal) -> list[FailureGroup]:
    """Return what failed and this caller may know of by fingerprint, the largest group first."""
    groups: dict[str, FailureGroup] = {}
    sectors, since = sectors_visible(viewer), clock.now() - ENDED_SHOWN
    for sector in sectors_failed(sectors)[:FAILURES_MAX]:
        group = _group_add(
            groups,
            JobKind.SEAL,
            sector,
            sector,
            stage=sector.stage,
            at=sector.paused_at,
            back=resume_choices(sector)[1:],
        )
        _host_add(group, sector.job.sticky_worker)
    runs = list(runs_stopped(sectors).order_by("-paused_at", "-pk")[:FAILURES_MAX])
    miners = list(miners_visible(viewer))
    unseals = unseals_failed(miners, since=since, limit=FAILURES_MAX)[0]
    hosts = _hosts_of([*(run.job_id for run in runs), *(job.pk for job in unseals)])
    for run in runs:
        step = run.step
        group = _group_add(
            groups,
            run.kind,
            run.sector,
            run,
            stage=step.stage,
            at=run.paused_at,
            back=tuple(step.resume_at),
        )
        _host_add(group, hosts.get(run.job_id))
    named = sectors.filter(uuid__in={job.inputs["sector"] for job in unseals if "sector" in job.inputs})
    of_unseal = {str(sector.uuid): sector for sector in named}
    for job in unseals:
        if (unsealing := of_unseal.get(job.inputs.get("sector", ""))) is not None:
            _host_add(_group_add(groups, JobKind.UNSEAL, unsealing, job, stage=job.stage), hosts.get(job.pk))
    for change in changes_failed(sectors, since=since).order_by("-pk")[:FAILURES_MAX]:
        _group_add(groups, change.kind.lower(), change.sector, change, stage=change.stage)
    for move in moves_failed(sectors, since=since).select_related("worker")[:FAILURES_MAX]:
        _host_add(_group_add(groups, MOVE, move.sector, move, stage=move.state), move.worker)
    for message in compactions_failed(miners, since=since)[:FAILURES_MAX]:
        why = message.error or exit_code_text(message.exit_code, actor="miner")
        group = _group_add(groups, COMPACT, None, message, stage=COMPACT.upper(), error=why)
        group.deadlines.append(compaction_place(message))
    return sorted(groups.values(), key=lambda one: (-one.count, one.key))


def sectors_failed(sectors: QuerySet[Sector]) -> QuerySet[Sector]:
    """Return those that are paused by what went wrong, not by a person, the last one first."""
    return sectors.filter(paused_by="").exclude(paused_at=None).order_by("-paused_at", "-pk")


def sectors_alike(sectors: Iterable[Sector]) -> list[FailureGroup]:
    """Return the groups of sectors that failed, the largest first: of each only what its sectors are."""
    groups: dict[str, FailureGroup] = {}
    for sector in sectors:
        _group_add(groups, JobKind.SEAL, sector, sector, stage=sector.stage, at=sector.paused_at)
    return sorted(groups.values(), key=lambda one: (-one.count, one.key))


def _group_add(
    groups: dict[str, FailureGroup],
    kind: str,
    sector: Sector | None,
    row: Failed,
    *,
    stage: str,
    error: str = "",
    at: datetime | None = None,
    back: tuple[str, ...] = (),
) -> FailureGroup:
    """Add what failed to its group, of which the first one is the newest; return the group."""
    at, error = at or row.updated_at, error or row.error
    of_stage = stage if kind == JobKind.SEAL else f"{kind} {stage}"
    if isinstance(row, SectorChange):
        of_stage += f" {row.expiration} {row.drops_claims}"  # a retry requests the same change
    key = fingerprint(of_stage, error)
    group = groups.get(key)
    if group is None:
        group = groups[key] = FailureGroup(
            key=key,
            kind=str(kind),
            state=row.state,
            stage=str(stage),
            text=error,
            level=row.error_level if isinstance(row, Sector) else Level.PERMANENT,
            advice=advice_of(kind, error),
            back=back,
            since=at,
            last=at,
        )
    group.since = min(group.since, at)
    group.back = group.back or back
    if sector is not None:
        group.sectors.append(sector)
    group.rows.append(row)
    return group


def _hosts_of(jobs: Iterable[int]) -> dict[int, Worker]:
    """Return the host that reported a job's last failure; no row where the console found it."""
    reported = JobEvent.objects.filter(job__in=list(jobs), is_error=True).exclude(worker=None)
    return {
        event.job_id: event.worker
        for event in reported.select_related("worker").order_by("pk")
        if event.worker
    }


def _host_add(group: FailureGroup, worker: Worker | None) -> None:
    if worker is not None and (host := worker_machine(worker)) not in group.hosts:
        group.hosts.append(host)


def failure_find(key: str, *, viewer: Principal) -> FailureGroup:
    """Return a group by its fingerprint.  Raises FailureUnknown."""
    group = next((one for one in failures_grouped(viewer) if one.key == key), None)
    if group is None:
        raise FailureUnknown(key)
    return group


def change_request_read(group: FailureGroup) -> ChangeRequest:
    """Return what was asked for of all sectors of a group of failed changes."""
    first = cast("SectorChange", group.rows[0])
    return ChangeRequest(
        kind=ChangeKind(first.kind),
        expiration=first.expiration if first.kind == ChangeKind.EXTEND else None,
        drops_claims=first.drops_claims,
        reason=first.reason,
    )
