"""Hosts that hold roles, lose them and take them over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from apps.miners.models import Miner, Role
from apps.miners.services.roles import RoleGrant
from apps.miners.states import RoleKind, RoleState
from apps.sectors.models import Job, Worker
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.roles.assignments import (
    host_role_assign,
    host_role_fail_over,
)
from poolsite.wire.codec import document_encode
from poolsite.wire.hosts import Heartbeat, HeldJob
from poolsite.wire.job_inputs import ProvenSector, WindowPostInputs
from poolsite.wire.jobs import JobKind
from tests import people
from tests.unit.apps.sectors.sealing import DIGEST, NOON, claim, host

WINDOW, SEAL, BACKUP = RoleKind.WINDOW, RoleKind.SEAL, RoleKind.BACKUP


def machine(name: str, *kinds: JobKind, at: datetime = NOON) -> Worker:
    """The only worker of a machine."""
    return host(f"w-{name}", host=name, kinds=kinds or (JobKind.SEAL, JobKind.WINDOW_POST), at=at)


def give(miner: Miner, name: str, kind: str, *, priority: int = 0, at: datetime = NOON) -> Role:
    grant = RoleGrant(host=name, kind=kind, priority=priority)
    return host_role_assign(miner, grant=grant, principal=people.principal(), now=at)


def fail_over(miner: Miner, kind: str = WINDOW, *, to: str = "", at: datetime = NOON) -> Role:
    return host_role_fail_over(miner, kind=kind, to_host=to, principal=people.principal(), now=at)


def proof_job(miner: Miner, **data: Any) -> Job:
    inputs = WindowPostInputs(
        miner_id=miner.actor_id or 0,
        post_proof=int(miner.post_proof),
        randomness=DIGEST,
        sectors=(ProvenSector(number=1, comm_r=DIGEST, seal_proof=int(miner.seal_proof)),),
        deadline=0,
        close_epoch=10,
    )
    return Job.objects.create(
        kind=JobKind.WINDOW_POST,
        miner=miner,
        stage="WINDOW_POST",
        inputs=document_encode(inputs),
        lease_s=15,
        **data,
    )


def prove(worker: Worker, *, at: datetime = NOON) -> int:
    return len(claim(worker, kinds=(JobKind.WINDOW_POST,), at=at))


def beat(worker: Worker, *, at: datetime, held: tuple[HeldJob, ...] = ()) -> Any:
    return worker_heartbeat(worker, heartbeat=Heartbeat(boot_id=worker.boot_id, held=held), now=at)


def holder(miner: Miner, kind: str = WINDOW) -> str:
    return str(Role.objects.get(miner=miner, kind=kind, state=RoleState.HELD).host)


def later(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)
