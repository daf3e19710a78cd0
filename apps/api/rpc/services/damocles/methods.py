"""`Venus.*` of damocles-manager, for damocles-workers that seal and prove here.

A worker's token names the tenant, and where it is limited the miners; what is not in the table answers that
there is no such method, on which a worker stays idle.
Source: damocles-manager/core/api.go SealerAPI; damocles-worker/src/sealing/sealing_thread/planner/sealer.rs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, Final

from apps.api.rpc.dispatcher import Call, Service
from apps.api.rpc.services.damocles import answers, forms
from apps.api.rpc.services.damocles.acts import ACTS
from apps.api.rpc.services.damocles.forms import (
    ALLOCATED,
    CID,
    COUNT,
    NAME,
    NAMES,
    PING,
    PRECOMMIT,
    PROOF,
    REASON,
    REPORT,
    SECTOR,
    SPEC,
)
from apps.api.rpc.services.damocles.jobs import (
    SNAP_UP,
    UPDATED,
    achieve_unseal,
    acquire_unseal_dest,
    allocate_rebuild,
    allocate_snap_up,
    allocate_unseal,
    submit_snap_up,
)
from apps.api.rpc.services.damocles.proofs import PROOFS
from apps.api.rpc.services.damocles.proven import PROVEN
from apps.api.rpc.services.damocles.reads import READS
from apps.api.rpc.services.damocles.standing import STANDING
from apps.core import clock
from apps.damocles.errors import SectorEnded
from apps.damocles.services.hosts import Ping, damocles_ping
from apps.damocles.services.job_locks import job_is_named
from apps.damocles.services.job_reports import job_abort, job_finish, job_report
from apps.damocles.services.precommit_submissions import (
    PreCommitted,
    damocles_precommit_submit,
    precommit_status_read,
)
from apps.damocles.services.proof_submissions import damocles_proof_submit, proof_status_read
from apps.damocles.services.runs import rebuild_submit
from apps.damocles.services.sector_locks import SectorName
from apps.damocles.services.sectors import (
    BATCH_MAX,
    AllocateSpec,
    Reported,
    damocles_abort,
    damocles_allocate,
    damocles_deals_assign,
    damocles_finish,
    damocles_report,
    damocles_ticket_assign,
)
from apps.damocles.services.seeds import damocles_seed_assign
from apps.damocles.services.store_reservations import damocles_job_reserve, damocles_reserve
from apps.damocles.services.stores import damocles_persisted_submit, damocles_store
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.sealing_context import sealing_context_read
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.damocles import SECTOR_GONE
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import ANY, BOOL, Param, RpcMethod

SCOPE: Final = "sealer"


def _with_gone_code(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler whose answer on a sector that is over has the code that a worker knows."""

    @wraps(handler)
    def answer(*args: Any) -> Any:
        try:
            return handler(*args)
        except SectorEnded as error:
            raise RpcError(error.reason, code=SECTOR_GONE) from error

    return answer


def allocate_sector(call: Call, spec: AllocateSpec) -> Json:
    """Return a pledged sector; null while there is none."""
    return next(iter(allocate_sectors(call, spec, 1)), None)


def allocate_sectors(call: Call, spec: AllocateSpec, count: int) -> list[Json]:
    """Return several pledged sectors."""
    if count < 1:
        raise RpcError("at least one sector is allocated each call")
    limited = replace(spec, count=min(count, BATCH_MAX))
    return [
        answers.allocated_form(one)
        for one in damocles_allocate(call.principal, spec=limited, now=clock.now())
    ]


def acquire_deals(call: Call, name: SectorName, _spec: Json) -> Json:
    """Return the pieces that the console has packed into a sector; null for one of zeros."""
    placed = damocles_deals_assign(call.principal, name=name, now=clock.now())
    return [answers.piece_form(one, provider=name.miner_id) for one in placed] or None


def assign_ticket(call: Call, name: SectorName) -> Json:
    """Return the sector's ticket."""
    sector = damocles_ticket_assign(call.principal, name=name, work=sealing_context_read())
    return {"Ticket": answers.b64(bytes(sector.ticket or b"")), "Epoch": sector.ticket_epoch}


def submit_pre_commit(call: Call, one: forms.Allocated, made: PreCommitted, anew: bool) -> Json:
    """Store the commitments of a replica for its pre-commit."""
    made = replace(made, seal_proof=one.seal_proof)
    result, reason = damocles_precommit_submit(
        call.principal, name=one.name, made=made, anew=anew, now=clock.now()
    )
    return {"Res": int(result), "Desc": reason or None}


def poll_pre_commit_state(call: Call, name: SectorName) -> Json:
    """Return where the pre-commit is."""
    state, reason = precommit_status_read(call.principal, name=name, now=clock.now())
    return {"State": int(state), "Desc": reason or None}


def submit_persisted(call: Call, name: SectorName, store: str) -> bool:
    """Note where the files are."""
    return damocles_persisted_submit(call.principal, name=name, store_name=store, now=clock.now())


def submit_persisted_ex(call: Call, name: SectorName, store: str, is_upgrade: bool) -> bool:
    """Note where the files are, of a sector that is sealed or made again."""
    if job_is_named(call.principal, name=name):
        return rebuild_submit(
            call.principal, name=name, store_name=store, is_update=is_upgrade, now=clock.now()
        )
    if is_upgrade:
        raise RpcError("no rebuild of this sector is in progress: no updated replica is accepted")
    return submit_persisted(call, name, store)


def wait_seed(call: Call, name: SectorName, _proof_type: int = 0) -> Json:
    """Return the sector's seed, or the seconds until it is there."""
    work = sealing_context_read()
    found = damocles_seed_assign(call.principal, name=name, work=work)
    if not found.seed:
        delay_s = found.wait_epochs * work.network.epoch_s
        return {"ShouldWait": True, "Delay": max(round(delay_s), 1), "Seed": None}
    seed = {"Seed": answers.b64(found.seed), "Epoch": found.epoch}
    return {"ShouldWait": False, "Delay": 0, "Seed": seed}


def submit_proof(call: Call, name: SectorName, proof: bytes, anew: bool) -> Json:
    """Store the sector's proof for its commit."""
    result, reason = damocles_proof_submit(call.principal, name=name, proof=proof, anew=anew, now=clock.now())
    return {"Res": int(result), "Desc": reason or None}


def poll_proof_state(call: Call, name: SectorName) -> Json:
    """Return where the commit is."""
    state, reason = proof_status_read(call.principal, name=name, now=clock.now())
    return {"State": int(state), "Desc": reason or None}


def report_state(call: Call, name: SectorName, reported: Reported) -> Json:
    """Store a worker's report; Finalized has it wipe the sector."""
    report = job_report if job_is_named(call.principal, name=name) else damocles_report
    is_over, why = report(call.principal, name=name, reported=reported, now=clock.now())
    return {"Id": answers.sector_id(name), "Finalized": is_over, "AbortReason": why or None}


def report_finalized(call: Call, name: SectorName) -> None:
    """Note that the worker is done."""
    finish = job_finish if job_is_named(call.principal, name=name) else damocles_finish
    finish(call.principal, name=name, now=clock.now())


def report_aborted(call: Call, name: SectorName, reason: str) -> None:
    """Abort the sector, or release the job over it."""
    abort = job_abort if job_is_named(call.principal, name=name) else damocles_abort
    abort(call.principal, name=name, reason=reason, now=clock.now())


def worker_ping(call: Call, ping: Ping) -> None:
    """Note that the worker lives."""
    damocles_ping(call.principal, ping=ping, now=clock.now())


def store_reserve_space(call: Call, name: SectorName, size: int, candidates: list[str]) -> Json:
    """Reserve room for a sector's files."""
    reserve = damocles_job_reserve if job_is_named(call.principal, name=name) else damocles_reserve
    store = reserve(call.principal, name=name, size=size, candidates=candidates, now=clock.now())
    return None if store is None else answers.store_form(store)


def store_basic_info(call: Call, name: str) -> Json:
    """Show a store; null for one that no host has."""
    store = damocles_store(call.principal, name=name, now=clock.now())
    return None if store is None else answers.store_form(store)


def get_info(call: Call, miner_id: int) -> Json:
    """Show a miner."""
    miner = miner_get(call.principal, f"f0{miner_id}")
    proof = RegisteredSealProof(miner.seal_proof)
    return {
        "ID": miner.actor_id,
        "Addr": miner.address,
        "SectorSize": miner.sector_size,
        "WindowPoStProofType": int(proof.window_post_proof),
        "SealProofType": int(proof),
    }


def _row(
    handler: Callable[..., Any], *params: Param, optional: int = 0, asks_node: bool = False
) -> RpcMethod:
    handler = _with_gone_code(handler)
    return RpcMethod("write", handler, params, optional=optional, scope=SCOPE, asks_node=asks_node)


METHODS: Final[dict[str, RpcMethod]] = {
    "Venus.AllocateSector": _row(allocate_sector, SPEC),
    "Venus.AllocateSectorsBatch": _row(allocate_sectors, SPEC, COUNT),
    "Venus.AcquireDeals": _row(acquire_deals, SECTOR, ANY),
    "Venus.AssignTicket": _row(assign_ticket, SECTOR, asks_node=True),
    "Venus.SubmitPreCommit": _row(submit_pre_commit, ALLOCATED, PRECOMMIT, BOOL),
    "Venus.PollPreCommitState": _row(poll_pre_commit_state, SECTOR),
    "Venus.SubmitPersisted": _row(submit_persisted, SECTOR, NAME),
    "Venus.SubmitPersistedEx": _row(submit_persisted_ex, SECTOR, NAME, BOOL),
    "Venus.WaitSeed": _row(wait_seed, SECTOR, COUNT, optional=1, asks_node=True),
    "Venus.SubmitProof": _row(submit_proof, SECTOR, PROOF, BOOL),
    "Venus.PollProofState": _row(poll_proof_state, SECTOR),
    "Venus.ReportState": _row(report_state, SECTOR, REPORT),
    "Venus.ReportFinalized": _row(report_finalized, SECTOR),
    "Venus.ReportAborted": _row(report_aborted, SECTOR, REASON),
    "Venus.WorkerPing": _row(worker_ping, PING),
    "Venus.StoreReserveSpace": _row(store_reserve_space, SECTOR, COUNT, NAMES),
    "Venus.StoreBasicInfo": _row(store_basic_info, NAME),
    "Venus.GetInfo": _row(get_info, COUNT),
    "Venus.AllocateSanpUpSector": _row(allocate_snap_up, SNAP_UP),  # as damocles spells it
    "Venus.SubmitSnapUpProof": _row(submit_snap_up, SECTOR, UPDATED),
    "Venus.AllocateRebuildSector": _row(allocate_rebuild, SPEC),
    "Venus.AllocateUnsealSector": _row(allocate_unseal, SPEC),
    "Venus.AcquireUnsealDest": _row(acquire_unseal_dest, SECTOR, CID),
    "Venus.AchieveUnsealSector": _row(achieve_unseal, SECTOR, CID, REASON),
    **PROOFS,
    **READS,
    **STANDING,
    **ACTS,
    **PROVEN,
}
DAMOCLES: Final = Service(methods=METHODS, by_version={}, versions=("v0",))
