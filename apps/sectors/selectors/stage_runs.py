"""Who ran which stage from when to when: what hosts reported, so many runs of each host and no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.models import Q

from apps.miners.models import Miner
from apps.sectors.models import Job, JobEvent, Worker
from apps.sectors.selectors.hosts import worker_is_away
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
SELECT (%(all_tenants)s OR miner.tenant_id = %(tenant)s)
       AND (cardinality(%(actors)s::bigint[]) = 0 OR miner.actor_id = ANY(%(actors)s::bigint[])),
       ran.worker_id, ran.stage, ran.at, ran.ms, ran.is_error, sector.uuid::text, sector.number,
       miner.actor_id, sector.seal_proof, run.id,
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
"""
"""First whether the viewer may see it: what he may not see counts for how far back a host was read.

The sum keeps the look for a job's earlier event from going through the whole table by its key.
"""


class StageRun(NamedTuple):
    """One run of a stage on a host that has ended."""

    worker: int
    stage: str
    start: datetime
    end: datetime
    sector: str
    """Uuid; empty for work that belongs to no sector."""
    number: int | None
    miner: str
    sector_size: int = 0
    """0 for work that belongs to no sector."""
    is_new: bool = True
    """Of a sector that is being sealed, not of one that changes, as a rebuild does."""
    is_error: bool = False
    """It failed; when it began nobody wrote down, so that start and end are one."""
    arrived: datetime | None = None
    """Since when it waited for its slot; None outside of the window."""

    @property
    def seconds(self) -> float:
        """Return how long it took, in seconds."""
        return (self.end - self.start).total_seconds()


OPEN_FIELDS: Final = (
    *("stage", "state", "worker_id", "is_portable", "sticky_worker_id", "updated_at", "miner__actor_id"),
    *("sector__uuid", "sector__number", "sector__stage_since"),
    *("sector__progress_done", "sector__progress_total"),
    *("run__state_since", "run__sector__uuid", "run__sector__number"),
)
"""Of jobs, what is read of those that wait or run: whole rows of jobs and sectors are wide."""
HOSTS_OF: Final = ("job__worker", "job__sticky_worker")
IN_WORK_FIELDS: Final = (
    *("uuid", "number", "seal_proof", "state", "stage_since", "paused_at", "miner__actor_id"),
    *(f"{host}__{name}" for host in HOSTS_OF for name in ("name", "seen_at", "is_paused")),
)
"""Of sectors, what is read of those in progress."""


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
    }
    read: dict[int, list[datetime]] = defaultdict(list)
    runs: list[StageRun] = []
    with connection.cursor() as cursor:
        cursor.execute(RUNS, requested)
        for is_visible, worker, stage, at, ms, is_error, *work, arrived in cursor.fetchall():
            read[worker].append(at)
            if is_visible and stage in WORKER_STAGES:
                started = at - timedelta(milliseconds=ms or 0)
                runs.append(StageRun(worker, stage, started, at, *_work(*work), is_error, arrived))
    runs.sort(key=lambda run: (run.end, run.start))
    return StageRuns(runs, {host: min(ends) for host, ends in read.items() if len(ends) >= most})


def _work(
    uuid: str | None, number: int | None, actor_id: int | None, seal_proof: int | None, run_id: int | None
) -> tuple[str, int | None, str, int, bool]:
    """Return the fields of a run that say what it was for."""
    size = 0 if seal_proof is None else SIZES[seal_proof]
    miner = "" if actor_id is None else f"f0{actor_id}"
    return uuid or "", number, miner, size, run_id is None


def stages_open(viewer: Principal) -> list[OpenStage]:
    """Return what waits or runs, the oldest first."""
    rows = Job.objects.filter(state__in=(JobState.READY, JobState.LEASED), kind__in=STAGED)
    if not viewer.is_operator:
        rows = rows.filter(miner__tenant_id=viewer.own_id)
    if viewer.miners:
        rows = rows.filter(miner__actor_id__in=viewer.miners)
    rows = rows.select_related("sector", "run__sector", "miner").only(*OPEN_FIELDS)
    return [_open_stage(job) for job in rows.order_by("pk")[:OPEN_MAX]]


def _open_stage(job: Job) -> OpenStage:
    run = getattr(job, "run", None)
    sector = job.sector or (None if run is None else run.sector)
    arrived = job.updated_at
    if job.sector is not None:
        arrived = job.sector.stage_since
    elif run is not None:
        arrived = run.state_since
    is_leased = job.state == JobState.LEASED
    return OpenStage(
        stage=job.stage,
        holder=job.worker_id if is_leased else None,
        bound=job.worker_id if is_leased else None if job.is_portable else job.sticky_worker_id,
        arrived=arrived,
        claimed=max(arrived, job.updated_at),
        sector="" if sector is None else str(sector.uuid),
        number=None if sector is None else sector.number,
        miner=job.miner.address,
        progress=job.sector.progress if is_leased and job.sector is not None else None,
    )


def sectors_in_work(viewer: Principal, *, miner: Miner | None = None, now: datetime) -> list[InWork]:
    """Return the sectors in progress, the oldest first."""
    rows = sectors_visible(viewer).exclude(state__in=FINAL_STATES)
    if miner is not None:
        rows = rows.filter(miner=miner)
    rows = rows.select_related(None).select_related("miner", *HOSTS_OF).only(*IN_WORK_FIELDS)
    return [
        InWork(
            uuid=str(row.uuid),
            miner=row.miner.address,
            number=row.number,
            seal_proof=row.seal_proof,
            state=row.state,
            since=row.stage_since,
            host=host.name if (host := row.job.worker or row.job.sticky_worker) is not None else "",
            is_paused=row.paused_at is not None,
            is_host_away=host is not None and worker_is_away(host, now=now),
            is_host_paused=host is not None and host.is_paused and row.job.worker is None,
        )
        for row in rows.order_by("pk")[:IN_WORK_MAX]
    ]


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
