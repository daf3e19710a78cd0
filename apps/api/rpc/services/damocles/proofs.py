"""`Venus.WdPoSt*`: proofs of windows for damocles-workers with the plan `wdpost`, and for their operator.

Source: damocles-manager/core/types_wdpost.go WdPoSt*; damocles-worker/src/rpc/sealer/mod.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.damocles.forms import (
    COUNT,
    NAME,
    NAMES,
    REASON,
    SECTORS_MAX,
    listed,
    unsigned,
)
from apps.core import clock
from apps.damocles.services.proofs import (
    ProofJob,
    ProofSpec,
    proof_finish,
    proof_jobs_list,
    proof_remove,
    proof_reset,
    proofs_claim,
    proofs_heartbeat,
)
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.states import JobState
from poolsite.filecoin.post.challenges import post_randomness
from poolsite.wire.damocles import POST_PROOFS, ProofState
from poolsite.wire.jsonrpc.messages import Json
from poolsite.wire.jsonrpc.parameters import BadParam, Param, RpcMethod, blob, fields, text

SCOPE: Final = "sealer"
STATES: Final = {JobState.READY: ProofState.READY, JobState.LEASED: ProofState.RUNNING}
POST_NAMES: Final = {number: name for name, number in POST_PROOFS.items()}


@dataclass(frozen=True, slots=True)
class Output:
    """What a worker has proved."""

    proof: bytes = b""
    faults: tuple[int, ...] = ()


def proofs_spec(value: Json) -> ProofSpec:
    """Read an AllocateWdPoStJobSpec; types of proof that are not known are nobody's here."""
    found = fields(value)
    names = [text(one) for one in listed(found.get("allowedprooftypes"))]
    return ProofSpec(
        miners=tuple(map(unsigned, listed(found.get("allowedminers")))),
        post_proofs=tuple(POST_PROOFS.get(name, -1) for name in names),
    )


def output(value: Json) -> Output:
    """Read a WindowPoStOutput, its bytes in base64 or as numbers; null is nothing."""
    if value is None:
        return Output()
    found = fields(value)
    proofs = b"".join(map(_octets, listed(found.get("proofs"))))
    return Output(proofs, tuple(map(unsigned, listed(found.get("faults"), most=SECTORS_MAX))))


def _octets(value: Json) -> bytes:
    if not isinstance(value, list):
        return blob(value)
    if not all(type(one) is int and 0 <= one < 256 for one in value):
        raise BadParam("json: cannot unmarshal into Go value of type []uint8")
    return bytes(value)


PROOFS_SPEC: Final = Param("core.AllocateWdPoStJobSpec", proofs_spec)
OUTPUT: Final = Param("*core.WdPoStOutput", output)


def allocate(call: Call, spec: ProofSpec, count: int, worker: str) -> list[Json]:
    """Lease proofs to a worker."""
    claimed = proofs_claim(call.principal, spec=spec, count=count, name=worker, now=clock.now())
    return [{"Id": one.id, "Input": input_form(one)} for one in claimed]


def heartbeat(call: Call, names: list[str], worker: str) -> None:
    """Note that a worker is at its proofs."""
    proofs_heartbeat(call.principal, names=names, name=worker, now=clock.now())


def finish(call: Call, name: str, made: Output, error: str) -> None:
    """Store a proof, or why there is none."""
    proof_finish(
        call.principal, name=name, proof=made.proof, faults=made.faults, error=error, now=clock.now()
    )


def reset(call: Call, name: str) -> None:
    """Offer a proof to any host again."""
    proof_reset(call.principal, name=name, now=clock.now())


def remove(call: Call, name: str) -> None:
    """End a proof's job; the window has another one made."""
    proof_remove(call.principal, name=name, now=clock.now())


def all_jobs(call: Call) -> Json:
    """List the jobs of proofs."""
    jobs = [job_form(one) for one in proof_jobs_list(call.principal)]
    return {"Jobs": jobs, "MaxTry": sealing_policy().retries(None).attempts_max}


def input_form(one: ProofJob) -> Json:
    """Return a WdPoStInput as JSON; null where it is forgotten."""
    if one.inputs is None:
        return None
    return {
        "Sectors": [
            {
                "SectorId": sector.number,  # the worker's struct has a bare number here, an object elsewhere
                "CommR": [*sector.comm_r],
                "Upgrade": sector.is_upgraded,
                "Accesses": {"SealedFile": sector.store, "CacheDir": sector.store},
            }
            for sector in one.sectors
        ],
        "MinerId": one.inputs.miner_id,
        "ProofType": POST_NAMES.get(one.inputs.post_proof, ""),
        "Seed": [*post_randomness(one.inputs.randomness)],  # rust-fil-proofs refuses what is no scalar
    }


def job_form(one: ProofJob) -> Json:
    """Return a WdPoStJobBrief as JSON: of what goes in and comes out how many sectors and faults."""
    job = one.job
    state = STATES.get(JobState(job.state), ProofState.FINISHED)
    is_over, result = state is ProofState.FINISHED, job.result or {}
    worker = job.worker.name if job.worker is not None else result.get("worker", "")
    return {
        "Id": one.id,
        "State": str(state),
        "DeadlineIdx": 0 if one.inputs is None else one.inputs.deadline,
        "Partitions": [],
        "Input": {
            "Sectors": None,
            "MinerId": 0 if one.inputs is None else one.inputs.miner_id,
            "ProofType": "",
            "Seed": [0] * 32,
        },
        "Output": {"proofs": None, "faults": None},
        "Sectors": len(one.sectors),
        "Faults": len(result.get("faults", [])),
        "TryNum": job.attempts + (job.state == JobState.LEASED),
        "ErrorReason": job.error,
        "WorkerName": worker,
        "StartedAt": _seconds(job.updated_at) if state is ProofState.RUNNING else 0,
        "HeartbeatAt": _seconds(job.heard_at),
        "FinishedAt": _seconds(job.updated_at) if is_over else 0,
        "CreatedAt": _seconds(job.created_at),
        "UpdatedAt": _seconds(job.updated_at),
    }


def _seconds(moment: datetime | None) -> int:
    return 0 if moment is None else int(moment.timestamp())


PROOFS: Final[dict[str, RpcMethod]] = {
    "Venus.WdPoStAllocateJobs": RpcMethod("write", allocate, (PROOFS_SPEC, COUNT, NAME), scope=SCOPE),
    "Venus.WdPoStHeartbeatJobs": RpcMethod("write", heartbeat, (NAMES, NAME), scope=SCOPE),
    "Venus.WdPoStFinishJob": RpcMethod("write", finish, (NAME, OUTPUT, REASON), scope=SCOPE),
    "Venus.WdPoStAllJobs": RpcMethod("read", all_jobs),
    "Venus.WdPoStResetJob": RpcMethod("write", reset, (NAME,)),
    "Venus.WdPoStRemoveJob": RpcMethod("write", remove, (NAME,)),
}
