"""How many jobs a host claims."""

from __future__ import annotations

from typing import Any

from apps.core import clock
from apps.sectors.services.jobs.claims import jobs_claim
from poolsite.wire.jobs import Claim, JobKind


def claimed(worker: Any, kind: JobKind = JobKind.SEAL) -> int:
    claim = Claim(
        worker_id=str(worker.uuid),
        boot_id=worker.boot_id,
        kinds=(kind,),
        stages={"ADD_PIECE": 1},
        new_sectors=1,
        max=5,
    )
    return len(jobs_claim(worker, claim=claim, now=clock.now()).jobs)
