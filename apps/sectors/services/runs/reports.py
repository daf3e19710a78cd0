"""What hosts report of the stages of snap-ups and rebuilds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apps.core.marked_texts import gettext
from apps.sectors.errors.jobs import BadReport, NoProverYet, StateDiffers
from apps.sectors.models import Job, PipelineRun, Sector, Store
from apps.sectors.reasons import COMM_R_DIFFERS
from apps.sectors.rules.params import comm_d_of
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.jobs import run_inputs
from apps.sectors.selectors.proof_forms import is_checked_here, proof_verifier
from apps.sectors.selectors.stage_outputs import outputs_check
from apps.sectors.selectors.stores import provers_of_store
from apps.sectors.services.files.copies import copies_forget
from apps.sectors.services.runs.steps import run_move
from apps.sectors.states import JobState
from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.filecoin.proof_verifier import BAD_PROOFS
from poolsite.wire.job_reports import Event, EventAnswer
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import Owner, RebuildState, SnapStage


def run_report(job: Job, *, event: Event, digest: str, now: datetime) -> EventAnswer:
    """Record the end of a stage, of a job that is locked.  Raises StateDiffers, BadReport, NoProverYet."""
    run = PipelineRun.objects.select_related("sector__miner").get(job=job)
    spec = run.step
    if event.state != run.state:
        raise StateDiffers(state=run.state)
    if event.event != spec.report:
        raise BadReport(
            gettext("{event} cannot be reported in state {state}").format(event=event.event, state=run.state),
            field="event",
        )
    columns = outputs_check(
        spec, outputs=event.outputs, policy=sealing_policy(), tenant_id=run.sector.tenant_id
    )
    step_event, data = (_snap_take if run.kind == JobKind.SNAP_UP else _rebuild_take)(
        run, event, columns, now=now
    )
    job.seq = event.seq
    job.save(update_fields=["seq"])
    actor = job.worker.name if job.worker is not None else ""
    report = {
        "seq": event.seq,
        "token": event.token,
        "ms": event.outputs.ms or None,
        "digest": digest,
        "worker": job.worker,
    }
    run_move(run, event=step_event, job=job, now=now, actor=actor, report=report, **data)
    return run_answer(job)


def _snap_take(
    run: PipelineRun,
    event: Event,
    columns: dict[str, Any],
    *,
    now: datetime,
) -> tuple[str, dict[str, Any]]:
    """Return the event and the columns of a report of a snap-up.  Raises BadReport, NoProverYet."""
    if "comm_d" in columns and columns["comm_d"] != comm_d_of(run.sector, pieces=run.pieces):
        raise BadReport(gettext("the commitment does not match the pieces"), field="outputs.comm_d")
    if (store_name := columns.pop("store", run.sector.store)) != run.sector.store:
        # That store holds a second copy of the old replica, left by a move or FINALIZE.  Its SectorCopy row
        # stays until the update lands.
        _proven_require(run.sector, store_name, now=now)
        Sector.objects.filter(pk=run.sector.pk).update(store=store_name, files_lost_at=None)
    if event.outputs.proof is not None and run.step.stage == SnapStage.SNAP_PROVE:
        columns["proof"] = event.outputs.proof
        _update_proof_check(run, event.outputs.proof)
    return event.event, columns


def _proven_require(sector: Sector, store_name: str, *, now: datetime) -> None:
    """Refuse another store for a proving sector while no prover reads it.  Raises BadReport, NoProverYet."""
    store = Store.objects.filter(tenant_id=sector.tenant_id, name=store_name).first()
    if store is None:
        raise BadReport(gettext("the store is unknown"), field="outputs.store")
    if not provers_of_store(store, now=now):
        raise NoProverYet(  # it may just restart: the host reports again
            gettext("no online prover can read {target}: attach it to one first").format(target=store_name),
            field="outputs.store",
        )


def _update_proof_check(run: PipelineRun, proof: bytes) -> None:
    """Check a proof before it goes into a message.  Raises BadReport."""
    if not is_checked_here(proof):
        return
    try:
        proof_verifier().update(
            proof,
            update_proof=update_proof_choose(run.sector),
            comm_r_old=_bytes(run.sector.comm_r) or b"",
            comm_r_new=_bytes(run.comm_r) or b"",
            comm_d_new=_bytes(run.comm_d) or b"",
        )
    except BAD_PROOFS as bad:
        raise BadReport(
            gettext("the chain would refuse this proof: {error}").format(error=bad), field="outputs.proof"
        ) from None


def update_proof_choose(sector: Sector) -> int:
    """Return the RegisteredUpdateProof of a sector, which goes by its size."""
    return SECTOR_SIZES.index(sector.sector_size)


def _rebuild_take(
    run: PipelineRun, event: Event, columns: dict[str, Any], *, now: datetime
) -> tuple[str, dict[str, Any]]:
    """Return the event and the columns of a report of a rebuild: what it made must be what the chain has."""
    sector, inputs = run.sector, run_inputs(run.job)
    if "store" in columns:
        Sector.objects.filter(pk=sector.pk).update(store=columns["store"], files_lost_at=None)
        copies_forget(sector.pk, store_name=columns["store"])
    if event.event not in ("PC2", "SNAP_ENCODE"):
        return event.event, {}
    is_last = event.event == "SNAP_ENCODE"
    expected = _bytes(sector.comm_r) if is_last else inputs.comm_r
    made = columns["comm_r"]
    if made == expected:
        return event.event, {}
    text = COMM_R_DIFFERS(made=made.hex(), wanted=(expected or b"").hex())
    return RebuildState.COMM_R_DIFFERS, {"error": text, "paused_at": now}


def run_answer(job: Job) -> EventAnswer:
    """Return where a run stands, with the inputs of the next stage if the host goes on."""
    run = PipelineRun.objects.get(job=job)
    goes_on = run.step.owner is Owner.WORKER and job.state == JobState.LEASED
    return EventAnswer(
        state=run.state,
        seq=job.seq,
        seal=run_inputs(job) if goes_on else None,
        is_done=run.step.owner is Owner.NOBODY or run.state == RebuildState.REBUILD_CLEARED,
    )


def _bytes(value: bytes | memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
