"""Steps of the pipelines over proven sectors: what hosts report, and what people decide."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.utils.translation import gettext

from apps.core import clock
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.sectors.errors import BadReport, NoHost, NotPaused, RunUnknown, StateDiffers
from apps.sectors.models import Job, JobEvent, PipelineRun, Sector, Worker
from apps.sectors.params import comm_d_of
from apps.sectors.policy import sealing_policy
from apps.sectors.proof_forms import is_checked_here, proof_verifier, update_refusal
from apps.sectors.selectors.damocles import damocles_planned
from apps.sectors.selectors.jobs import run_inputs
from apps.sectors.services.hosts.removals import sealing_folder_clear
from apps.sectors.services.jobs.stage_outputs import outputs_check
from apps.sectors.services.sealing.placements import pieces_unplace
from apps.sectors.services.stores.copies import copies_forget
from apps.sectors.states import JobState
from apps.users.services.audit import audit_record
from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.filecoin.proof_verifier import BAD_PROOFS
from poolsite.wire.job_reports import EventAnswer
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import (
    BACK_TO,
    RUN_NEXT,
    Owner,
    RebuildState,
    SnapStage,
    SnapState,
)

if TYPE_CHECKING:
    from datetime import datetime

    from apps.users.principals import Principal
    from poolsite.wire.job_reports import Event

FIRST_STATES: Final = (SnapState.PIECES_ASSIGNED, RebuildState.LOST)
ACTIONS: Final[dict[str, str]] = {JobKind.SNAP_UP: "snap-up", JobKind.REBUILD: "rebuild"}
"""What the audit log calls them."""


@transaction.atomic
def run_begin(
    sector: Sector,
    *,
    kind: JobKind,
    state: str,
    actor: str,
    now: datetime,
    hosts: list[int] | None = None,
    note: str = "",
    **data: Any,
) -> PipelineRun:
    """Write a run and its job, for the hosts that may do it where none are given.  Raises NoHost."""
    step = RUN_NEXT[state]
    job = Job.objects.create(
        kind=kind,
        state=JobState.READY if step.owner is Owner.WORKER else JobState.WAITING,
        miner=sector.miner,
        stage=step.stage,
        lease_s=sealing_policy().lease_s,
        offered_to=hosts_of_run(sector, kind=kind) if hosts is None else hosts,
        inputs={"sector": str(sector.uuid)},
    )
    run = PipelineRun.objects.create(
        sector=sector, job=job, kind=kind, state=state, state_since=now, actor=actor, **data
    )
    _event_write(run, job=job, event="BEGIN", before="", stage="", now=now, actor=actor, note=note)
    _publish(run)
    return run


def hosts_of_run(sector: Sector, *, kind: str, is_clearing: bool = False) -> list[int]:
    """Return the keys of the sealing hosts that may begin: those of the sector's store.  Raises NoHost.

    A lost replica any host may make again where nobody has the store any more.  Data go into a sector where
    a host can prove that they did: another is not begun with, as its pieces would wait in it.  Where the pool
    has none of its own for it, damocles-workers with that plan are: but for clearing an old replica.
    """
    try:
        return _own_hosts(sector, kind=kind)
    except NoHost:
        outside = [] if is_clearing else damocles_planned(sector.miner.tenant_id, kind, now=clock.now())
        if not outside:
            raise
        return [host.pk for host in outside]


def _own_hosts(sector: Sector, *, kind: str) -> list[int]:
    hosts = Worker.objects.filter(
        tenant_id=sector.miner.tenant_id, retired_at=None, kinds__contains=[str(kind)]
    )
    rows = list(hosts.order_by("pk"))
    found = [host for host in rows if sector.store in host.stores] if sector.store else []
    if not found and kind == JobKind.REBUILD:
        found = rows
    if not found:
        raise NoHost(
            gettext("no sealing host has its store {store}").format(store=sector.store).rstrip(),
            field="sector",
        )
    if kind == JobKind.SNAP_UP:
        refusals = [update_refusal(host.hardware, sector.sector_size) for host in found]
        able = [host for host, refusal in zip(found, refusals, strict=True) if not refusal]
        if not able:
            words = gettext("{host} cannot prove the update: {error}").format(
                host=found[0].name, error=refusals[0]
            )
            raise NoHost(words, field="sector")
        found = able
    return [host.pk for host in found]


def run_report(job: Job, event: Event, *, digest: str, now: datetime) -> EventAnswer:
    """Record the end of a stage, of a job that is locked.  Raises StateDiffers, BadReport."""
    run = PipelineRun.objects.select_related("sector__miner").get(job=job)
    spec = run.step
    if event.state != run.state:
        raise StateDiffers(state=run.state)
    if event.event != spec.report:
        raise BadReport(
            gettext("{event} cannot be reported in state {state}").format(event=event.event, state=run.state),
            field="event",
        )
    columns = outputs_check(spec, event.outputs, policy=sealing_policy(), tenant_id=run.sector.tenant_id)
    taken, data = (_snap_take if run.kind == JobKind.SNAP_UP else _rebuild_take)(run, event, columns, now=now)
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
    run_move(run, taken, job=job, now=now, actor=actor, report=report, **data)
    return run_answer(job)


def _snap_take(
    run: PipelineRun,
    event: Event,
    columns: dict[str, Any],
    *,
    now: datetime,  # noqa: ARG001  # as of a rebuild
) -> tuple[str, dict[str, Any]]:
    """Return the event and the columns of a report of a snap-up.  Raises BadReport."""
    if "comm_d" in columns and columns["comm_d"] != comm_d_of(run.sector, pieces=run.pieces):
        raise BadReport(gettext("the commitment does not match the pieces"), field="outputs.comm_d")
    if columns.pop("store", run.sector.store) != run.sector.store:
        raise BadReport(gettext("the sector is in another store"), field="outputs.store")
    if event.outputs.proof is not None and run.step.stage == SnapStage.SNAP_PROVE:
        columns["proof"] = event.outputs.proof
        _update_proof_check(run, event.outputs.proof)
    return event.event, columns


def _update_proof_check(run: PipelineRun, proof: bytes) -> None:
    """Check a proof before it goes into a message.  Raises BadReport."""
    if not is_checked_here(proof):
        return
    try:
        proof_verifier().update(
            proof,
            update_proof=update_proof_of(run.sector),
            comm_r_old=_bytes(run.sector.comm_r) or b"",
            comm_r_new=_bytes(run.comm_r) or b"",
            comm_d_new=_bytes(run.comm_d) or b"",
        )
    except BAD_PROOFS as bad:
        raise BadReport(
            gettext("the chain would refuse this proof: {error}").format(error=bad), field="outputs.proof"
        ) from None


def update_proof_of(sector: Sector) -> int:
    """Return the RegisteredUpdateProof of a sector, which goes by its size."""
    return SECTOR_SIZES.index(sector.sector_size)


def _rebuild_take(
    run: PipelineRun, event: Event, columns: dict[str, Any], *, now: datetime
) -> tuple[str, dict[str, Any]]:
    """Return the event and the columns of a report of a rebuild: what it made must be what the chain has."""
    sector, inputs = run.sector, run_inputs(run.job)
    if "store" in columns:
        Sector.objects.filter(pk=sector.pk).update(store=columns["store"], files_lost_at=None)
        copies_forget(sector.pk, columns["store"])
    if event.event not in ("PC2", "SNAP_ENCODE"):
        return event.event, {}
    is_last = event.event == "SNAP_ENCODE"
    wanted = _bytes(sector.comm_r) if is_last else inputs.comm_r
    made = columns["comm_r"]
    if made == wanted:
        return event.event, {}
    words = gettext("the rebuild produced comm_r {made}, but the chain has {wanted}").format(
        made=made.hex(), wanted=(wanted or b"").hex()
    )
    return RebuildState.COMM_R_DIFFERS, {"error": words, "paused_at": now}


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


def run_move(
    run: PipelineRun,
    event: str,
    *,
    job: Job,
    now: datetime,
    actor: str = "",
    note: str = "",
    report: dict[str, Any] | None = None,
    **data: Any,
) -> None:
    """Move a run, write the event, and offer, hold back or end its job; call it with the job's row locked.

    Raises WrongState, LostRace.
    """
    before, stage = run.state, run.step.stage
    cleared = {"error": "", "not_before": None, "paused_at": None}
    advance(run, event, **(cleared | {"state_since": now, "updated_at": now} | data))
    _event_write(
        run,
        job=job,
        event=event,
        before=before,
        stage=stage,
        now=now,
        actor=actor,
        note=note,
        **(report or {}),
    )
    _job_follow(job, run, now=now, is_report=report is not None)
    _publish(run)


def _job_follow(job: Job, run: PipelineRun, *, now: datetime, is_report: bool) -> None:
    step = run.step
    data: dict[str, Any] = {"stage": step.stage, "attempts": 0, "error": "", "updated_at": now}
    over = {"worker": None, "lease_until": None}
    if run.paused_at is not None:
        advance(job, "PAUSE", **data, **over)
    elif step.owner is Owner.CONSOLE:
        advance(job, "WAIT", **data, **over)
    elif step.owner is Owner.NOBODY:
        is_good = run.state in (SnapState.SNAPPED, RebuildState.REBUILT)
        advance(job, "DONE" if is_good else "FAIL", **data, **over)
    elif is_report and job.worker_id is not None:
        until = now + timedelta(seconds=job.lease_s)
        # What a stage has made lies on this host's disk.
        advance(job, "GO_ON", **data, offered_to=[job.worker_id], lease_until=until, heard_at=now)
    else:
        advance(job, "FREE" if job.state in (JobState.LEASED, JobState.READY) else "OFFER", **data, **over)


def run_locked(pk: int) -> tuple[Job, PipelineRun]:
    """Lock a run's job and give both, fresh; every step of a run holds this lock."""
    jobs = Job.objects.select_for_update(of=("self",)).select_related("miner", "worker")
    job = jobs.get(run__pk=pk)
    return job, PipelineRun.objects.select_related("sector__miner__tenant").get(pk=pk)


def run_console_step(run: PipelineRun, event: str, *, now: datetime, note: str = "", **data: Any) -> bool:
    """Advance a run by a step of the console, if it still is where we saw it; return whether it was."""
    with transaction.atomic():
        job, fresh = run_locked(run.pk)
        if fresh.state != run.state or fresh.paused_at is not None:
            return False
        run_move(fresh, event, job=job, now=now, actor="console", note=note, **data)
    return True


def run_pause(run: PipelineRun, *, job: Job, error: str, now: datetime) -> None:
    """Stop a run where it is until somebody decides; files and state stay."""
    PipelineRun.objects.filter(pk=run.pk).update(paused_at=now, error=error, not_before=None, updated_at=now)
    advance(job, "PAUSE", worker=None, lease_until=None, error=error, updated_at=now)
    _publish(run)


def run_failed(job: Job, *, error: str, attempts: int, now: datetime) -> None:
    """Stop a run whose stage failed on its host for good; the job is locked."""
    run = PipelineRun.objects.select_related("sector__miner").get(job=job)
    Job.objects.filter(pk=job.pk).update(attempts=attempts)
    run_pause(run, job=job, error=error, now=now)


@transaction.atomic
def run_console_failure(
    run: PipelineRun, *, error: str, now: datetime, not_before: datetime | None = None
) -> None:
    """Note that a chain step failed: tried again from `not_before` on, otherwise it waits for somebody."""
    job, fresh = run_locked(run.pk)
    if fresh.state != run.state or fresh.paused_at is not None:
        return
    _event_write(
        fresh,
        job=job,
        event="FAIL",
        before=fresh.state,
        stage=fresh.step.stage,
        now=now,
        note=error,
        is_error=True,
    )
    if not_before is None:
        run_pause(fresh, job=job, error=error, now=now)
        return
    PipelineRun.objects.filter(pk=run.pk).update(
        error=error, attempts=fresh.attempts + 1, not_before=not_before, updated_at=now
    )
    _publish(fresh)


@transaction.atomic
def run_retry(run: PipelineRun, *, by: Principal, now: datetime, state: str | None = None) -> PipelineRun:
    """Go on with a run that stopped: the same stage again, or from an earlier state of its table.

    From the first stage on another host may take it.  Raises NotPaused, WrongState, NoHost.
    """
    job, fresh = run_locked(run.pk)
    if fresh.paused_at is None:
        raise NotPaused(gettext("it is not paused"))
    before = fresh.state
    if state is None and fresh.step.owner is Owner.NOBODY:
        state = fresh.step.resume_at[0]
    if state is not None and state != fresh.state:
        if state in FIRST_STATES:
            Job.objects.filter(pk=job.pk).update(offered_to=hosts_of_run(fresh.sector, kind=fresh.kind))
        run_move(fresh, f"{BACK_TO}{state}", job=job, now=now, actor=by.actor, attempts=0)
    else:
        values = {"error": "", "attempts": 0, "not_before": None, "paused_at": None, "updated_at": now}
        PipelineRun.objects.filter(pk=fresh.pk).update(**values)
        advance(
            job, "OFFER" if fresh.step.owner is Owner.WORKER else "WAIT", attempts=0, error="", updated_at=now
        )
        _event_write(
            fresh, job=job, event="RETRY", before=fresh.state, stage=fresh.step.stage, now=now, actor=by.actor
        )
        fresh.refresh_from_db()
        _publish(fresh)
    _audit(fresh, f"sector.{ACTIONS[fresh.kind]}-retry", by=by, before=before)
    return fresh


@transaction.atomic
def run_abort(run: PipelineRun, *, reason: str, by: Principal, now: datetime) -> PipelineRun:
    """End a run; its host clears its sealing folder of it.  Raises WrongState once the message is sent."""
    job, fresh = run_locked(run.pk)
    before = fresh.state
    run_move(fresh, "ABORT", job=job, now=now, actor=by.actor, note=reason)
    sealing_folder_clear(fresh.sector, job=job, actor=by.actor)
    if fresh.kind == JobKind.SNAP_UP:
        pieces_unplace(fresh.sector.miner, fresh.sector.number, now=now)
    _audit(fresh, f"sector.{ACTIONS[fresh.kind]}-abort", by=by, before=before, note=reason)
    return fresh


def run_open(sector: Sector, kind: str) -> PipelineRun:
    """Return the run of this kind over a sector that is under way.  Raises RunUnknown."""
    runs = PipelineRun.objects.filter(sector=sector, kind=kind).select_related("job", "sector__miner")
    run = runs.order_by("-pk").first()
    if run is None or not run.is_open:
        raise RunUnknown(ACTIONS.get(kind, "run"))
    return run


def _event_write(
    run: PipelineRun,
    *,
    job: Job,
    event: str,
    before: str,
    stage: str,
    now: datetime,
    actor: str = "console",
    note: str = "",
    **report: Any,
) -> None:
    JobEvent.objects.create(
        job=job,
        event=event,
        from_state=before,
        to_state=run.state,
        stage=stage,
        at=now,
        actor=actor,
        note=note,
        **report,
    )


def _audit(run: PipelineRun, action: str, *, by: Principal, before: str, note: str = "") -> None:
    after = {"state": run.state} | ({"reason": note} if note else {})
    target = f"{run.sector.miner} / {run.sector.number}"
    audit_record(principal=by, action=action, target=target, before={"state": before}, after=after)


def _publish(run: PipelineRun) -> None:
    publish(Change("sector", str(run.sector.uuid), run.sector.tenant_id))


def _bytes(value: bytes | memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)
