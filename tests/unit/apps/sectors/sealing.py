"""What the tests of jobs have in common: registered workers, claims, reports, as a host would send them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from apps.sectors.models import Worker
from apps.sectors.services.hosts.registration import worker_register
from apps.sectors.services.jobs.claims import jobs_claim
from apps.sectors.services.jobs.stage_events import job_event_record
from poolsite.wire.hosts import Register
from poolsite.wire.job_inputs import Piece
from poolsite.wire.job_reports import Event, EventAnswer, StageOutputs
from poolsite.wire.jobs import Assignment, Claim, JobKind
from poolsite.wire.pipeline import WORKER_STAGES
from tests.people import tenant

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DIGEST = bytes(range(32))
OUTPUTS: dict[str, StageOutputs] = {
    "ADD_PIECE": StageOutputs(pieces=(Piece(size=2048, comm_p=DIGEST),)),
    "BUILD_TREE_D": StageOutputs(comm_d=DIGEST),
    "PC1": StageOutputs(),
    "PC2": StageOutputs(comm_d=DIGEST, comm_r=DIGEST),
    "PERSIST": StageOutputs(store="store-1"),
    "C1": StageOutputs(),
    "C2": StageOutputs(proof=b"proof"),
    "FINALIZE": StageOutputs(),
}


def host(uid: str = "u1", boot: str = "b1", *, of: str = "alice", at: datetime = NOON, **data: Any) -> Worker:
    """A worker that has just registered."""
    facts = {"kinds": (JobKind.SEAL,), "slots": dict.fromkeys(WORKER_STAGES, 9), **data}
    register = Register(**{"uid": uid, "boot_id": boot, "name": uid, "host": "h", "version": "1"} | facts)
    return worker_register(register, tenant_id=tenant(of).pk, now=at)[0]


def claim(worker: Worker, *, at: datetime = NOON, **change: Any) -> tuple[Assignment, ...]:
    """What a worker with many free slots gets."""
    facts = {
        "kinds": (JobKind.SEAL,),
        "stages": dict.fromkeys(WORKER_STAGES, 9),
        "new_sectors": 9,
        "max": 9,
        **change,
    }
    asked = Claim(worker_id=str(worker.uuid), boot_id=worker.boot_id, **facts)
    return jobs_claim(worker, claim=asked, now=at).jobs


def report(
    job: Assignment, event: str, *, state: str, of: str = "alice", at: datetime = NOON, **change: Any
) -> EventAnswer:
    """Report the end of a stage, one number after the last that the assignment knows."""
    facts = {"token": job.token, "seq": job.seq + 1, "outputs": OUTPUTS.get(event), **change}
    return job_event_record(
        job.id, event=Event(state=state, event=event, **facts), tenant_id=tenant(of).pk, now=at
    )
