"""What hangs on a host's role: its leases on proofs, which end with it, and when it was heard of."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from apps.core.languages import list_text
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import as_reason
from apps.core.transitions import advance
from apps.miners.errors import RoleUnable
from apps.miners.models import Miner, Role
from apps.miners.states import RoleKind
from apps.sectors.models import Job
from apps.sectors.reasons import ROLE_CHANGED
from apps.sectors.selectors.hosts import workers_of_host
from apps.sectors.selectors.restored import lease_token_next
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import JobState
from poolsite.wire.jobs import JobKind

ROLES_OF_JOBS: Final[dict[str, tuple[str, ...]]] = {
    JobKind.SEAL: (RoleKind.SEAL, RoleKind.DEAL),
    JobKind.WINDOW_POST: (RoleKind.WINDOW, RoleKind.WINNING, RoleKind.BACKUP),
}
"""What a worker that does such jobs can hold.  Sector numbers are given out by `manage.py runrole`."""


def able_require(miner: Miner, *, hosts: Collection[str], kind: str) -> None:
    """Refuse a role that none of these hosts can hold: a holder that proves nothing misses its windows.

    A host of which no worker is known may have it before its workers come.  Raises RoleUnable.
    """
    jobs = {str(job) for job, kinds in ROLES_OF_JOBS.items() if kind in kinds}
    workers = [worker for host in hosts for worker in workers_of_host(miner.tenant_id, host)]
    if not jobs or not workers or any(not jobs.isdisjoint(one.kinds) or one.is_damocles for one in workers):
        return
    proves = JobKind.WINDOW_POST in jobs
    text = gettext("{host} runs no prover") if proves else gettext("{host} runs no sealer")
    raise RoleUnable(text.format(host=list_text(sorted(hosts))), field="host")


def role_jobs_end(role: Role, *, now: datetime) -> int:
    """End the leases on proofs of a host that is not to make them any more; returns how many.

    Their tokens grow, so whatever the host still reports is refused with the role's own reason.
    """
    if role.kind != RoleKind.WINDOW:
        return 0
    hosts = workers_of_host(role.miner.tenant_id, role.host)
    leased = Job.objects.select_for_update(of=("self",)).filter(
        kind=JobKind.WINDOW_POST, miner=role.miner, state=JobState.LEASED, worker__in=hosts
    )
    ended = list(leased.order_by("pk"))
    for job in ended:
        job_event_write(
            job,
            event="LEASE_OVER",
            now=now,
            actor=role.host,
            token=job.lease_token,
            stage=job.stage,
            note=ROLE_CHANGED(kind=role.kind, miner=role.miner, note=as_reason(role.note)),
        )
        advance(job, "FREE", worker=None, lease_until=None, lease_token=lease_token_next(), updated_at=now)
        publish(Change("job", job.pk, role.miner.tenant_id))
    return len(ended)


def role_heartbeat_find(miner: Miner, *, host: str, kind: str) -> datetime | None:
    """Return when a worker of the host that can do this kind was last heard of."""
    jobs = [job for job, kinds in ROLES_OF_JOBS.items() if kind in kinds]
    workers = workers_of_host(miner.tenant_id, host).order_by("-seen_at")
    able = [worker.seen_at for worker in workers if set(jobs) & set(worker.kinds)]
    return able[0] if able else None
