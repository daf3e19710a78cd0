"""Who ran which stage from when to when: what hosts reported, so many runs of each host and no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Q

from apps.miners.models import Miner
from apps.sectors.models import Job, JobEvent, Worker
from apps.sectors.selectors.host_groups import away_since
from apps.sectors.selectors.sectors import sectors_visible
from apps.sectors.states import JobState
from apps.users.rules.principals import Principal
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.jobs import STAGED
from poolsite.wire.pipeline import FINAL_STATES, WORKER_STAGES, SectorState

SIZES: Final[dict[int, int]] = {proof.value: proof.sector_size for proof in RegisteredSealProof}
"""Bytes of a sector by its type of proof."""
RUNS_OF_HOST: Final = 400
"""Newest runs that are read of a host, where hosts are few."""
RUNS_MAX: Final = 20_000
"""Runs that are read of all hosts: the more hosts, the fewer of each."""
OPEN_MAX: Final = 5_000
"""Jobs that wait or run; more than a farm has at a time."""
FINISHED: Final = 40
"""Newest finished sectors from which the time of a whole sector is learnt."""
IN_WORK_MAX: Final = 500
"""Sectors in progress whose end is estimated, the oldest."""
RUNS: Final = """\
SELECT ran.stage = ANY(%(stages)s) AND (%(all_tenants)s OR miner.tenant_id = %(tenant)s)
       AND (cardinality(%(actors)s::bigint[]) = 0 OR miner.actor_id = ANY(%(actors)s::bigint[])),
       ran.worker_id, ran.stage, ran.at, coalesce(ran.ms, 0) / 1000.0::float8,
       coalesce(sector.uuid::text, ''), sector.number,
       coalesce('f0' || miner.actor_id, ''), sector.seal_proof, run.id IS NULL, ran.is_error,
       CASE WHEN ran.at > %(since)s THEN coalesce(
           (SELECT max(earlier.at) FROM sectors_jobevent earlier
             WHERE earlier.job_id = ran.job_id AND earlier.id + 0 < ran.id), job.created_at) END
FROM unnest(%(hosts)s::bigint[]) AS host(id)
CROSS JOIN LATERAL (
    SELECT id, job_id, worker_id, stage, at, ms, is_error FROM sectors_jobevent
    WHERE worker_id = host.id AND (ms IS NOT NULL OR is_error)
    ORDER BY id DESC LIMIT %(most)s) ran
JOIN sectors_job job ON job.id = ran.job_id
JOIN miners_miner miner ON miner.id = job.miner_id
LEFT JOIN sectors_pipelinerun run ON run.job_id = job.id
LEFT JOIN sectors_sector sector ON sector.id = coalesce(job.sector_id, run.sector_id)
ORDER BY ran.at, ran.ms DESC NULLS LAST
"""
"""First whether it is listed, then the fields of `StageRun`, by their ends.

What the viewer may not see counts for how far back a host was read.  The sum keeps the look for a job's
earlier event from going through the whole table by its key.
"""


class StageRun(NamedTuple):
    """One run of a stage on a host that has ended."""

    worker: int
    stage: str
    end: datetime
    seconds: float
    sector: str
    """Uuid; empty for work that belongs to no sector."""
    number: int | None
    miner: str
    seal_proof: int | None = None
    """None for work that belongs to no sector."""
    is_new: bool = True
    """Of a sector that is being sealed, not of one that changes, as a rebuild does."""
    is_error: bool = False
    """It failed; when it began nobody wrote down, so that start and end are one."""
    arrived: datetime | None = None
    """Since when it waited for its slot; None outside of the window."""

    @property
    def start(self) -> datetime:
        """Return when it began."""
        return self.end - timedelta(seconds=self.seconds)

    @property
    def sector_size(self) -> int:
        """Return the bytes of its sector; 0 for work that belongs to no sector."""
        return 0 if self.seal_proof is None else SIZES[self.seal_proof]


class OpenRow(NamedTuple):
    """The fields of a job that waits or runs: whole rows of jobs and sectors are wide."""

    stage: str
    state: str
    worker: int | None
    is_portable: bool
    sticky_worker: int | None
    updated_at: datetime
    actor_id: int | None
    sector: UUID | None
    """UUID of the sector that is being sealed; None where a change of one runs, and without any."""
    number: int | None
    stage_since: datetime | None
    done: int | None
    total: int | None
    state_since: datetime | None
    """Time since which a change has its state; None without one."""
    changed: UUID | None
    changed_number: int | None


OPEN_FIELDS: Final = (
    *("stage", "state", "worker_id", "is_portable", "sticky_worker_id", "updated_at", "miner__actor_id"),
    *("sector__uuid", "sector__number", "sector__stage_since"),
    *("sector__progress_done", "sector__progress_total"),
    *("run__state_since", "run__sector__uuid", "run__sector__number"),
)
"""Fields of `OpenRow`, in its order."""
HOSTS_OF: Final = ("job__worker", "job__sticky_worker")
IN_WORK_FIELDS: Final = (
    *("uuid", "number", "seal_proof", "state", "stage_since", "paused_at", "miner__actor_id"),
    *(f"{host}__{name}" for host in HOSTS_OF for name in ("name", "seen_at", "is_paused")),
)
"""The fields of sectors in progress: each host it may have in the same order."""


@dataclass(frozen=True, slots=True)
class StageRuns:
    """What was read of some hosts."""

    runs: list[StageRun]
    """Those that the viewer may see, oldest first."""
    read_since: dict[int, datetime]
    """Hosts that ran more than is read: when the oldest run that was read ended, whoever's it is."""


@dataclass(frozen=True, slots=True)
class OpenStage:
    """A stage that waits for a slot, or that a host has claimed."""

    stage: str
    holder: int | None
    """The host that has claimed it."""
    bound: int | None
    """The only host that may run it; None: any."""
    arrived: datetime
    claimed: datetime
    sector: str
    number: int | None
    miner: str
    progress: float | None


@dataclass(frozen=True, slots=True)
class InWork:
    """A sector in progress."""

    uuid: str
    miner: str
    number: int
    seal_proof: int
    state: str
    since: datetime
    host: str
    is_paused: bool
    is_host_away: bool = False
    """The host that has its files is silent."""
    is_host_paused: bool = False


def runs_of_host(hosts: int) -> int:
    """Return how many runs are read of each of so many hosts."""
    return min(RUNS_OF_HOST, RUNS_MAX // max(hosts, 1))


def stage_runs(viewer: Principal, hosts: Iterable[Worker], *, since: datetime) -> StageRuns:
    """Return the newest runs of these hosts; when one came to its host only after `since`."""
    keys = [host.pk for host in hosts]
    most = runs_of_host(len(keys))
    requested: dict[str, Any] = {
        "hosts": keys,
        "most": most,
        "since": since,
        "all_tenants": viewer.is_operator,
        "tenant": viewer.own_id,
        "actors": list(viewer.miners),
        "stages": list(WORKER_STAGES),
    }
    with connection.cursor() as cursor:
        cursor.execute(RUNS, requested)
        rows = cursor.fetchall()
    runs = [StageRun._make(row[1:]) for row in rows if row[0]]
    full = {worker for worker, count in Counter(row[1] for row in rows).items() if count >= most}
    read_since: dict[int, datetime] = {}
    for _is_listed, worker, _stage, end, *_ in rows if full else ():
        if worker in full:
            read_since.setdefault(worker, end)
    return StageRuns(runs, read_since)


def stages_open(viewer: Principal) -> list[OpenStage]:
    """Return what waits or runs, the oldest first."""
    rows = Job.objects.filter(state__in=(JobState.READY, JobState.LEASED), kind__in=STAGED)
    if not viewer.is_operator:
        rows = rows.filter(miner__tenant_id=viewer.own_id)
    if viewer.miners:
        rows = rows.filter(miner__actor_id__in=viewer.miners)
    return [
        _open_stage(OpenRow._make(fields))
        for fields in rows.order_by("pk").values_list(*OPEN_FIELDS)[:OPEN_MAX]
    ]


def _open_stage(job: OpenRow) -> OpenStage:
    arrived = job.stage_since or job.state_since or job.updated_at
    is_leased = job.state == JobState.LEASED
    return OpenStage(
        stage=job.stage,
        holder=job.worker if is_leased else None,
        bound=job.worker if is_leased else None if job.is_portable else job.sticky_worker,
        arrived=arrived,
        claimed=max(arrived, job.updated_at),
        sector=str(job.sector or job.changed or ""),
        number=job.changed_number if job.sector is None else job.number,
        miner="" if job.actor_id is None else f"f0{job.actor_id}",
        progress=(job.done or 0) / job.total if is_leased and job.total else None,
    )


def sectors_in_work(viewer: Principal, *, miner: Miner | None = None, now: datetime) -> list[InWork]:
    """Return the sectors in progress, the oldest first."""
    rows = sectors_visible(viewer).exclude(state__in=FINAL_STATES)
    if miner is not None:
        rows = rows.filter(miner=miner)
    found, heard = [], away_since(now)
    for fields in rows.order_by("pk").values_list(*IN_WORK_FIELDS)[:IN_WORK_MAX]:
        uuid, number, seal_proof, state, since, paused_at, actor_id, *hosts = fields
        worker, sticky = hosts[: len(hosts) // 2], hosts[len(hosts) // 2 :]
        has_claimed = worker[0] is not None
        name, seen_at, is_host_paused = worker if has_claimed else sticky
        found.append(
            InWork(
                uuid=str(uuid),
                miner="" if actor_id is None else f"f0{actor_id}",
                number=number,
                seal_proof=seal_proof,
                state=state,
                since=since,
                host=name or "",
                is_paused=paused_at is not None,
                is_host_away=seen_at is not None and seen_at < heard,
                is_host_paused=bool(is_host_paused) and not has_claimed,
            )
        )
    return found


def stage_spans(viewer: Principal, *, miner: Miner | None = None) -> dict[int, dict[str, list[float]]]:
    """Return the seconds of the newest finished sectors in each stage, waits included, by proof type."""
    spans: dict[int, dict[str, list[float]]] = {}
    for seal_proof, seconds_by_stage in finished_spans(viewer, miner=miner):
        by_stage = spans.setdefault(seal_proof, {})
        for stage, seconds in seconds_by_stage.items():
            by_stage.setdefault(stage, []).append(seconds)
    return spans


def finished_spans(viewer: Principal, *, miner: Miner | None = None) -> list[tuple[int, dict[str, float]]]:
    """Return the proof type of each of the newest finished sectors, and its seconds in each stage."""
    rows = sectors_visible(viewer).select_related(None).filter(state=SectorState.PROVING, active=True)
    if miner is not None:
        rows = rows.filter(miner=miner)
    started = {
        pk: (seal_proof, made)
        for pk, seal_proof, made in rows.values_list("pk", "seal_proof", "created_at")[:FINISHED]
    }
    return [(started[pk][0], seconds_by_stage) for pk, seconds_by_stage in _spans_of(started).items()]


def _spans_of(started: dict[int, tuple[int, datetime]]) -> dict[int, dict[str, float]]:
    events = JobEvent.objects.filter(job__sector__in=list(started)).exclude(Q(stage="")).order_by("pk")
    spans: dict[int, dict[str, float]] = {}
    last: dict[int, datetime] = {}
    done: set[int] = set()
    for pk, stage, at, to_state in events.values_list("job__sector_id", "stage", "at", "to_state"):
        if pk in done:
            continue
        since = last.get(pk, started[pk][1])
        mine = spans.setdefault(pk, {})
        mine[stage] = mine.get(stage, 0.0) + max((at - since).total_seconds(), 0.0)
        last[pk] = max(at, since)  # a process whose clock is behind may have written it
        if to_state == SectorState.PROVING:
            done.add(pk)
    return {pk: mine for pk, mine in spans.items() if pk in done}
