"""Find the free jobs that waiting hosts could take, judged by the rows of jobs and hosts alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apps.core.prepared_statements import Prepared
from apps.sectors.services.jobs.claim_statements import IS_FREE, KINDS, LIVE, OF_HOSTS
from poolsite.wire.jobs import STAGED, JobKind

OF_ONE: Final = 16
"""Most jobs that are read of those bound to one host."""
ANYBODYS: Final = 256
"""Most jobs that are read of those that any host of their tenants may continue."""
_COLUMNS: Final = "job.kind, job.stage, job.id, job.lease_token, job.miner_id"
_JOB: Final = f"SELECT {_COLUMNS} FROM sectors_job job WHERE {IS_FREE} AND {LIVE}"  # noqa: S608  # constants
SEALING: Final = Prepared(
    "jobs_free_sealing",
    f"""
SELECT miner.tenant_id, job.kind, job.stage, job.id, job.lease_token, job.host FROM (
  SELECT one.*, NULL::bigint AS host FROM unnest($2) AS miner(id) CROSS JOIN LATERAL (
    {_JOB} AND job.kind = '{JobKind.SEAL}' AND job.sticky_worker_id IS NULL AND job.miner_id = miner.id
    ORDER BY job.time_sensitive, job.priority, job.rank, job.created_at DESC, job.id DESC LIMIT 1) one
  UNION ALL
  ({_JOB.replace(_COLUMNS, f"{_COLUMNS}, NULL::bigint")} AND job.is_portable AND job.miner_id = ANY($2)
    ORDER BY job.time_sensitive DESC, job.priority DESC, job.rank DESC, job.created_at, job.id
    LIMIT {ANYBODYS})
  UNION ALL
  SELECT one.*, host.id FROM unnest($3) AS host(id) CROSS JOIN LATERAL (
    {_JOB} AND job.kind = '{JobKind.SEAL}' AND job.sticky_worker_id = host.id LIMIT {OF_ONE}) one
  UNION ALL
  SELECT one.*, host.id FROM unnest($4) AS host(id) CROSS JOIN LATERAL (
    {_JOB} AND job.kind IN ({OF_HOSTS}) AND job.offered_to @> to_jsonb(host.id) LIMIT {OF_ONE}) one
) job JOIN miners_miner miner ON miner.id = job.miner_id""",  # noqa: S608  # constants of this module
    ["timestamptz", "bigint[]", "bigint[]", "bigint[]"],
)
"""Free jobs of kinds that have stages, each part read by its index:

- of each miner ($2) the new sector that will be begun last: it changes only when a new sector is added;
- jobs of these miners that any host may continue, such as C2;
- jobs bound to one of some hosts ($3), and jobs offered to one of some hosts ($4).
"""


@dataclass(frozen=True, slots=True)
class WaitingHost:
    """A host that waits for work, with the facts that decide which jobs it could take."""

    id: int
    tenant_id: int
    kinds: frozenset[str]
    """Kinds of jobs that it does."""
    closed: frozenset[str]
    """Stages for which it has no slot at all."""

    def takes(self, job: FreeJob) -> bool:
        """Return whether the host could take a job; only a claim shows whether it gets it."""
        is_its = job.host_id is None or job.host_id == self.id
        is_tenants = job.tenant_id == self.tenant_id
        return is_its and is_tenants and job.kind in self.kinds and job.stage not in self.closed


@dataclass(frozen=True, slots=True)
class FreeJob:
    """A free job, which stands for others of its kind, tenant and stage that are free as well."""

    tenant_id: int
    kind: str
    stage: str
    id: int
    lease_token: int
    """Token of the last lease: a job that was released counts as another one."""
    host_id: int | None = None
    """The only host that may take it; None: any host."""


def kinds_free(now: datetime) -> frozenset[tuple[int, str]]:
    """Return each tenant with a kind of its free jobs; sealing jobs count once their lease was swept."""
    return frozenset((tenant_id, kind) for tenant_id, kind, *_ in KINDS.rows([now]))


def jobs_free(hosts: Collection[WaitingHost], *, now: datetime) -> list[FreeJob]:
    """Return free jobs that some of these hosts could take; one query if no free job is of their kinds."""
    free = [(FreeJob(*row), miner_id) for *row, miner_id in KINDS.rows([now])]
    tenants: dict[str, set[int]] = {}
    for job, _ in free:
        tenants.setdefault(job.kind, set()).add(job.tenant_id)
    wanted = {kind: _of_kind(hosts, kind, tenants.get(kind, set())) for kind in STAGED}
    others = set().union(*(wanted[kind] for kind in STAGED if kind is not JobKind.SEAL))
    jobs = [job for job, _ in free if job.kind not in STAGED]
    if wanted[JobKind.SEAL] or others:
        # A tenant none of whose hosts waits may have more than one look tells.
        sealers = {host.tenant_id for host in hosts if host.id in wanted[JobKind.SEAL]}
        miners = {miner for job, miner in free if job.kind == JobKind.SEAL and job.tenant_id in sealers}
        jobs += (
            FreeJob(*row)
            for row in SEALING.rows([now, sorted(miners), sorted(wanted[JobKind.SEAL]), sorted(others)])
        )
    return jobs


def _of_kind(hosts: Collection[WaitingHost], kind: str, tenants: set[int]) -> set[int]:
    """Return the hosts that do a kind of job and belong to one of the tenants."""
    if not tenants:
        return set()
    return {host.id for host in hosts if kind in host.kinds and host.tenant_id in tenants}
