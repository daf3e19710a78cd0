"""Reports: accepted once, in order, under the newest token; refused otherwise, changing nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.core.errors import DomainError
from apps.sectors.errors.jobs import BadReport, JobUnknown, LeaseLost, OtherReport, OutOfOrder, StateDiffers
from apps.sectors.models import Job, JobEvent, Sector, SectorProof, Worker
from apps.sectors.services.jobs.lease_renewals import leases_renew
from apps.sectors.services.jobs.leases import leases_sweep
from apps.sectors.services.jobs.reports import job_complete, job_fail, job_progress_record, job_release
from apps.sectors.services.sealing.console_steps import sector_console_step
from apps.sectors.services.sealing.steps import sector_retry, sector_stop
from apps.sectors.states import JobState
from poolsite.wire.codec import document_encode
from poolsite.wire.hosts import HeldJob
from poolsite.wire.job_inputs import ProvenSector, WindowPostInputs
from poolsite.wire.job_reports import Complete, Fail, Level, Progress, Release, StageOutputs
from poolsite.wire.jobs import Assignment, JobKind
from poolsite.wire.pipeline import NEXT_STAGE, SECTOR_STATES, TRANSITIONS, Owner
from tests import factories
from tests.people import tenant
from tests.unit.apps.sectors.sealing import DIGEST, NOON, OUTPUTS, claim, host, report

pytestmark = pytest.mark.django_db

WORKER_STATES = [state for state, step in NEXT_STAGE.items() if step.owner is Owner.WORKER]


def begun(state: str = "ALLOCATED", **data: Any) -> tuple[Sector, Assignment]:
    """A sector in `state` that a host has claimed."""
    sector = factories.sector(factories.miner(), state=state, ticket_epoch=7, seed_epoch=9, **data)
    (job,) = claim(host())
    return sector, job


def everything() -> list[Any]:
    """All that a report could change."""
    return [list(model.objects.order_by("pk").values()) for model in (Sector, Job, JobEvent, SectorProof)]


@pytest.mark.parametrize("state", WORKER_STATES)
def test_each_stage_ends_with_its_event(state: str) -> None:
    sector, job = begun(state)
    event = str(NEXT_STAGE[state].event)

    answer = report(job, event, state=state)

    sector.refresh_from_db()
    assert sector.state == answer.state == TRANSITIONS[state][event]
    follows = NEXT_STAGE[sector.state].owner
    assert (answer.seal is not None) == (follows is Owner.WORKER)
    assert answer.is_done == (follows is Owner.NOBODY)
    expected = {
        Owner.WORKER: JobState.LEASED,
        Owner.CONSOLE: JobState.WAITING,
        Owner.NOBODY: JobState.DONE,
    }
    assert Job.objects.get().state == expected[follows]


def test_what_a_stage_made_is_kept() -> None:
    sector, job = begun("PC1_DONE")

    report(job, "PC2", state="PC1_DONE")

    sector.refresh_from_db()
    assert bytes(sector.comm_r or b"") == DIGEST


def test_a_proof_is_kept_apart_from_the_sector() -> None:
    sector, job = begun("C1_DONE")

    report(job, "C2", state="C1_DONE")

    assert bytes(SectorProof.objects.get(sector=sector).proof) == b"proof"


def test_the_same_report_twice_gives_the_same_answer() -> None:
    _, job = begun()

    first = report(job, "ADD_PIECE", state="ALLOCATED")
    before = everything()
    again = report(job, "ADD_PIECE", state="ALLOCATED")

    assert first == again
    assert everything() == before


def test_a_lease_that_ran_out_still_reports_as_long_as_nobody_else_claimed() -> None:
    sector, job = begun()
    leases_sweep(now=NOON + timedelta(seconds=100))

    report(job, "ADD_PIECE", state="ALLOCATED", at=NOON + timedelta(seconds=101))

    sector.refresh_from_db()
    assert sector.state == "PIECE_ADDED"


@pytest.mark.parametrize("by", ["console", "person"])
def test_a_late_report_of_labels_of_another_ticket_is_refused(by: str) -> None:
    sector, job = begun("TICKET_ASSIGNED", ticket=bytes(32))
    leases_sweep(now=NOON + timedelta(seconds=100))
    if by == "console":
        sector_console_step(sector, event="RETICKET", now=NOON, ticket=None, ticket_epoch=None)
    else:
        sector_stop(sector, actor="ann", now=NOON)
        sector_retry(sector, actor="ann", now=NOON, state="TREE_D_BUILT")
    sector.refresh_from_db()
    assert sector_console_step(sector, event="ASSIGN_TICKET", now=NOON, ticket=DIGEST, ticket_epoch=900)

    with pytest.raises(LeaseLost):
        report(job, "PC1", state="TICKET_ASSIGNED")

    (again,) = claim(host())
    assert again.seal is not None
    assert (again.seal.state, again.seal.ticket, again.seq) == ("TICKET_ASSIGNED", DIGEST, job.seq)


def test_a_report_is_answered_again_once_the_console_went_on() -> None:
    sector, job = begun("PIECE_ADDED")
    report(job, "BUILD_TREE_D", state="PIECE_ADDED")
    sector.refresh_from_db()
    sector_console_step(sector, event="ASSIGN_TICKET", now=NOON, ticket=DIGEST, ticket_epoch=900)

    assert report(job, "BUILD_TREE_D", state="PIECE_ADDED").state == "TICKET_ASSIGNED"


def test_labels_that_were_made_before_a_pause_are_taken_after_it() -> None:
    sector, job = begun("TICKET_ASSIGNED", ticket=bytes(32))
    sector_stop(sector, actor="ann", now=NOON)
    sector_retry(sector, actor="ann", now=NOON)

    assert report(job, "PC1", state="TICKET_ASSIGNED").state == "PC1_DONE"


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"token": 0}, LeaseLost, "token"),
        ({"token": 2}, LeaseLost, "token"),
        ({"seq": 2}, OutOfOrder, "seq"),
        ({"seq": 0}, OtherReport, "seq"),
        ({"state": "PC1_DONE"}, StateDiffers, "state"),
        ({"event": "PC2"}, BadReport, "event"),
        ({"event": "FINALIZE"}, BadReport, "event"),
    ],
)
def test_a_wrong_report_is_refused_and_changes_nothing(
    change: dict[str, Any], error: type[DomainError], field: str
) -> None:
    _, job = begun()
    before = everything()
    given = {"event": "ADD_PIECE", "state": "ALLOCATED", **change}

    with pytest.raises(error) as caught:
        report(job, given.pop("event"), **given)

    assert caught.value.field == field
    assert everything() == before


def test_another_report_under_a_used_number_is_refused() -> None:
    _, job = begun()
    report(job, "ADD_PIECE", state="ALLOCATED")

    with pytest.raises(OtherReport):
        report(job, "ADD_PIECE", state="ALLOCATED", outputs=StageOutputs(ms=5))


@pytest.mark.parametrize(
    ("state", "event", "field"),
    [
        ("PIECE_ADDED", "BUILD_TREE_D", "outputs.comm_d"),
        ("PC1_DONE", "PC2", "outputs.comm_d"),
        ("PC2_DONE", "PERSIST", "outputs.store"),
        ("C1_DONE", "C2", "outputs.proof"),
    ],
)
def test_a_report_must_bring_what_the_stage_makes(state: str, event: str, field: str) -> None:
    _, job = begun(state)

    with pytest.raises(BadReport) as caught:
        report(job, event, state=state, outputs=StageOutputs())

    assert caught.value.field == field


def test_a_report_of_a_worker_that_was_started_again_is_fenced() -> None:
    _, job = begun()
    host("u1", "b2")

    with pytest.raises(LeaseLost):
        report(job, "ADD_PIECE", state="ALLOCATED")


@pytest.mark.parametrize("job_id", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_an_unknown_job_is_not_found(job_id: str) -> None:
    with pytest.raises(JobUnknown):
        job_progress_record(
            job_id, progress=Progress(token=1, stage="PC1", done=0, total=1), tenant_id=1, now=NOON
        )


def test_a_strangers_job_is_not_found() -> None:
    _, job = begun()

    with pytest.raises(JobUnknown):
        report(job, "ADD_PIECE", state="ALLOCATED", of="bob")


def test_progress_is_shown_and_prolongs_the_lease() -> None:
    sector, job = begun()
    told = Progress(token=job.token, stage="ADD_PIECE", done=3, total=4, unit="pieces")

    job_progress_record(job.id, progress=told, tenant_id=tenant("alice").pk, now=NOON + timedelta(seconds=60))

    sector.refresh_from_db()
    assert sector.progress == 0.75
    assert Job.objects.get().lease_until == NOON + timedelta(seconds=150)


def fail(job: Assignment, level: Level, *, at: timedelta = timedelta(0)) -> None:
    """Report a failure."""
    told = Fail(token=job.token, level=level, stage="ADD_PIECE", error="disk full")
    job_fail(job.id, fail=told, tenant_id=tenant("alice").pk, now=NOON + at)


def test_a_temporary_failure_is_tried_again_after_a_pause() -> None:
    sector, job = begun()

    fail(job, Level.TEMPORARY)

    sector.refresh_from_db()
    row = Job.objects.get()
    assert (row.state, row.attempts, row.not_before) == (JobState.READY, 1, NOON + timedelta(seconds=10))
    assert (sector.state, sector.error, sector.paused_at) == ("ALLOCATED", "disk full", None)


def test_too_many_temporary_failures_pause_the_sector() -> None:
    sector, job = begun()
    worker = host()
    at = timedelta(0)

    for _ in range(4):
        fail(job, Level.TEMPORARY, at=at)
        at += timedelta(seconds=600)
        (job,) = claim(worker, at=NOON + at)
    fail(job, Level.TEMPORARY, at=at)

    sector.refresh_from_db()
    assert sector.paused_at is not None
    assert JobEvent.objects.filter(is_error=True).count() == 5


@pytest.mark.parametrize(("tries", "is_paused"), [(1, True), (2, False), (0, False)])
def test_a_thread_that_tries_less_often_pauses_the_sector_sooner(tries: int, is_paused: bool) -> None:
    sector, job = begun()
    told = Fail(
        token=job.token, level=Level.TEMPORARY, stage="ADD_PIECE", error="disk full", attempts_max=tries
    )

    job_fail(job.id, fail=told, tenant_id=tenant("alice").pk, now=NOON)

    sector.refresh_from_db()
    assert (sector.paused_at is not None) is is_paused


@pytest.mark.parametrize(("pause_s", "waits_s"), [(0, 10), (1, 1), (3_600, 3_600)])
def test_a_stage_is_tried_again_after_the_pause_of_its_thread(pause_s: int, waits_s: int) -> None:
    sector, job = begun()
    told = Fail(token=job.token, level=Level.TEMPORARY, stage="ADD_PIECE", error="no", pause_s=pause_s)

    job_fail(job.id, fail=told, tenant_id=tenant("alice").pk, now=NOON)

    sector.refresh_from_db()
    assert sector.not_before == NOON + timedelta(seconds=waits_s)


@pytest.mark.parametrize("level", [Level.PERMANENT, Level.CRITICAL, Level.ABORT])
def test_other_failures_pause_the_sector_at_once(level: Level) -> None:
    sector, job = begun()

    fail(job, level)

    sector.refresh_from_db()
    assert (sector.paused_at, sector.state, Job.objects.get().state) == (NOON, "ALLOCATED", JobState.PAUSED)


def test_a_job_given_back_untouched_is_anybodys() -> None:
    _, job = begun()

    job_release(job.id, release=Release(token=job.token), tenant_id=tenant("alice").pk, now=NOON)

    assert len(claim(host("u2"))) == 1


def test_a_sector_given_back_takes_no_late_report_of_it() -> None:
    _, job = begun()
    job_release(job.id, release=Release(token=job.token), tenant_id=tenant("alice").pk, now=NOON)

    with pytest.raises(LeaseLost):
        report(job, "ADD_PIECE", state="ALLOCATED")

    (again,) = claim(host("u2"))
    assert again.seal is not None
    assert (again.seal.state, again.seq) == ("ALLOCATED", 0)


def test_the_next_stage_does_not_wait_for_a_failure_of_the_last() -> None:
    _, job = begun()
    worker = host()
    fail = Fail(token=job.token, level=Level.TEMPORARY, stage="ADD_PIECE", error="no room")
    job_fail(job.id, fail=fail, tenant_id=tenant("alice").pk, now=NOON)
    assert claim(worker) == ()

    report(job, "ADD_PIECE", state="ALLOCATED")

    (again,) = claim(worker)
    assert again.seal is not None
    assert again.seal.state == "PIECE_ADDED"


def proof_job() -> Assignment:
    """A proof job that a prover has claimed."""
    miner = factories.miner()
    inputs = WindowPostInputs(
        miner_id=miner.actor_id or 0,
        post_proof=miner.post_proof,
        randomness=DIGEST,
        sectors=(ProvenSector(number=1, comm_r=DIGEST, seal_proof=5),),
        deadline=0,
        close_epoch=50,
    )
    Job.objects.create(
        kind=JobKind.WINDOW_POST,
        miner=miner,
        stage="WINDOW_POST",
        inputs=document_encode(inputs),
        lease_s=4,
        time_sensitive=True,
    )
    prover = host("p1", kinds=(JobKind.WINDOW_POST,))
    (job,) = claim(prover, kinds=(JobKind.WINDOW_POST,), stages={})
    assert job.window_post == inputs
    return job


def complete(job: Assignment, *, proof: bytes = b"p", faults: tuple[int, ...] = (), token: int = 1) -> None:
    """Hand a proof in."""
    done = Complete(token=token, proof=proof, faults=faults)
    job_complete(job.id, complete=done, tenant_id=tenant("alice").pk, now=NOON)


def test_a_proof_is_taken_once_and_may_be_said_twice() -> None:
    job = proof_job()

    complete(job)
    complete(job)

    row = Job.objects.get()
    assert (row.state, bytes(row.proof or b"")) == (JobState.DONE, b"p")
    with pytest.raises(LeaseLost):
        complete(job, proof=b"q")


def test_a_late_proof_of_an_older_lease_is_refused() -> None:
    job = proof_job()

    with pytest.raises(LeaseLost):
        complete(job, token=0)


def test_a_proof_needs_bytes_or_faults() -> None:
    job = proof_job()

    with pytest.raises(BadReport):
        complete(job, proof=b"")


def test_a_sealing_job_does_not_end_with_a_proof() -> None:
    _, job = begun()

    with pytest.raises(BadReport):
        complete(job)


def beats(job: Assignment, *, worker: str = "p1", token: int = 1, done: int = 0) -> bool:
    """A heartbeat that names a proof; False if its lease is lost."""
    progress = Progress(token=token, stage="WINDOW_POST", done=done, total=9, unit="sectors")
    held = [HeldJob(id=job.id, progress=progress)]
    return bool(leases_renew(Worker.objects.get(uid=worker), held_jobs=held, now=NOON + timedelta(minutes=5)))


def test_a_proof_whose_lease_ran_out_while_the_console_was_away_goes_on() -> None:
    job = proof_job()
    leases_sweep(now=NOON + timedelta(minutes=1))
    assert Job.objects.get().state == JobState.READY

    assert beats(job)

    row = Job.objects.get()
    assert (row.state, row.worker, row.lease_token) == (JobState.LEASED, Worker.objects.get(uid="p1"), 1)
    complete(job)


@pytest.mark.parametrize("why", ["claimed", "overtaken", "failed", "dropped", "stranger"])
def test_a_proof_that_is_not_its_own_any_more_does_not_come_back(why: str) -> None:
    job = proof_job()
    worker = "p1"
    if why == "failed":
        told = Fail(token=job.token, level=Level.TEMPORARY, stage="WINDOW_POST", error="child died")
        job_fail(job.id, fail=told, tenant_id=tenant("alice").pk, now=NOON)
    else:
        leases_sweep(now=NOON + timedelta(minutes=1))
    if why in ("claimed", "overtaken"):
        claim(host("p2", kinds=(JobKind.WINDOW_POST,)), kinds=(JobKind.WINDOW_POST,), stages={})
    if why == "overtaken":
        leases_sweep(now=NOON + timedelta(minutes=2))
        assert Job.objects.get().state == JobState.READY
    elif why == "dropped":
        Job.objects.update(state=JobState.FAILED)
    elif why == "stranger":
        worker = host("p3", of="bob").uid

    assert not beats(job, worker=worker)


def test_a_proof_moves_when_more_of_it_is_done_than_before() -> None:
    factories.head(700)
    job = proof_job()
    factories.head(705)
    beats(job, done=3)
    factories.head(709)

    for done in (3, 2):
        beats(job, done=done)

    row = Job.objects.get()
    assert (row.claimed_height, row.moved_height) == (700, 705)
    assert (row.progress_done, row.progress_total, row.progress_unit) == (3, 9, "sectors")


def test_a_claim_counts_anew() -> None:
    job = proof_job()
    beats(job, done=3)
    leases_sweep(now=NOON + timedelta(minutes=9))
    factories.head(800)

    claim(host("p2", kinds=(JobKind.WINDOW_POST,)), kinds=(JobKind.WINDOW_POST,), stages={})

    row = Job.objects.get()
    assert (row.claimed_height, row.moved_height, row.progress_done, row.progress_unit) == (800, 800, 0, "")


def test_a_failed_proof_is_tried_again_within_seconds() -> None:
    job = proof_job()
    told = Fail(token=job.token, level=Level.TEMPORARY, stage="WINDOW_POST", error="child died")

    job_fail(job.id, fail=told, tenant_id=tenant("alice").pk, now=NOON)

    row = Job.objects.get()
    assert (row.state, row.not_before) == (JobState.READY, NOON + timedelta(seconds=1))


def test_a_whole_way_with_every_report_sent_twice() -> None:
    sector, job = begun()
    worker = host()
    seq = 0
    for state in SECTOR_STATES:
        step = NEXT_STAGE[state]
        if step.owner is not Owner.WORKER:
            follow = {
                "TREE_D_BUILT": "TICKET_ASSIGNED",
                "PERSISTED": "SEED_ASSIGNED",
                "C2_DONE": "COMMIT_LANDED",
            }
            if state in follow:
                Sector.objects.filter(pk=sector.pk).update(state=follow[state])
                Job.objects.update(state=JobState.READY, stage=NEXT_STAGE[follow[state]].stage)
                (job,) = claim(worker)
                assert job.seq == seq
            continue
        for _ in range(2):
            answer = report(job, str(step.event), state=state, seq=seq + 1, outputs=OUTPUTS[str(step.event)])
        seq = answer.seq

    sector.refresh_from_db()
    assert (sector.state, seq) == ("PROVING", 8)
    assert JobEvent.objects.exclude(seq=None).count() == 8
