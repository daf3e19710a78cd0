"""Who has a job at a damocles-worker, and what is left of it after losses, failures, kills and a restore."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.core import clock
from apps.damocles.services import files as damocles_files
from apps.damocles.services import job_locks
from apps.damocles.services import runs as damocles_runs
from apps.messages.services.recovery.detect import recovery_begin
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.errors.runs import NoHost
from apps.sectors.models import DamoclesJob, Job, JobEvent, Sector, SectorNumbers, Worker, WorkerCommand
from apps.sectors.selectors.damocles_hosts import damocles_planned
from apps.sectors.selectors.restored import hosts_unreported, sectors_recovery
from apps.sectors.selectors.run_hosts import hosts_of_run
from apps.sectors.services.hosts.retirement import worker_retire, worker_retire_drained
from apps.sectors.services.runs import reports as run_reports
from apps.sectors.services.runs.decisions import run_abort, run_retry
from apps.sectors.services.runs.elsewhere import missing_host_runs_follow
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.integration.sealing.kills import Killed, Kills
from tests.unit.apps.api.rpc.damocles_jobs import (
    NEW,
    OLD,
    ROOM,
    SNAP_SPEC,
    claimed,
    lapse,
    looks,
    made,
    proven,
    rebuild,
    snap_up,
)
from tests.unit.apps.api.rpc.damocles_line import SPEC, Line, named

pytestmark = pytest.mark.django_db

# Who has it


def test_a_job_whose_answer_was_lost_is_given_out_again(line: Line, miner: Miner, own: Worker) -> None:
    run = snap_up(proven(miner), own)
    line.call("AllocateSanpUpSector", SNAP_SPEC)
    lapse(run)

    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is not None
    lapse(run)
    assert claimed(own, JobKind.SNAP_UP, "SNAP_ENCODE") == 1, "or to the pool's own"


def test_a_thread_that_lost_its_job_is_told_to_wipe_it(
    line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    sector = proven(miner)
    run = snap_up(sector, own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    lapse(run)
    assert claimed(own, JobKind.SNAP_UP, "SNAP_ENCODE") == 1

    answer = line.call("SubmitSnapUpProof", named(sector), made(run))
    assert (answer["Res"], "since been given to sealer-1" in answer["Desc"]) == (4, True)
    assert line.code("StoreReserveSpace", named(sector), ROOM, ["store"]) == 11001
    told = line.report(given, "SnapProved")
    assert (told["Finalized"], "sealer-1" in told["AbortReason"]) == (True, True)
    assert line.call("ReportAborted", named(sector), "told so") is None
    assert line.call("ReportFinalized", named(sector)) is None
    run.refresh_from_db()
    run.job.refresh_from_db()
    assert (run.paused_at, run.job.state, run.job.worker) == (None, "LEASED", own), "the other one goes on"


def test_what_a_thread_has_begun_waits_for_it(line: Line, miner: Miner, own: Worker) -> None:
    run = snap_up(proven(miner), own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    assert line.report(given, "PieceAdded")["Finalized"] is False
    lapse(run)

    assert claimed(own, JobKind.SNAP_UP, "SNAP_ENCODE") == 0
    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is None, "of its other threads, too"
    Job.objects.filter(pk=run.job_id).update(state="READY", worker=None)  # as the sweep leaves it
    before = Job.objects.get(pk=run.job_id).lease_token
    assert line.report(given, "TreeDBuilt")["Finalized"] is False
    job = Job.objects.get(pk=run.job_id)
    assert (job.state, str(job.worker), job.lease_token > before) == ("LEASED", "w1", True)


def test_another_thread_or_address_is_not_the_one_that_has_it(
    client: Client, line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    sector = proven(miner)
    run = snap_up(sector, own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    line.report(given, "PieceAdded")
    elsewhere = Line(client, people.token("write", of="alice", scopes=["sealer"]), address="10.0.0.9")

    assert elsewhere.report(given, "SnapProved", instance="w2")["Finalized"] is True
    assert elsewhere.code("StoreReserveSpace", named(sector), ROOM, ["store"]) == 1
    assert elsewhere.call("ReportAborted", named(sector), "told so") is None
    assert elsewhere.code("SubmitSnapUpProof", named(sector), made(run)) == 1
    run.refresh_from_db()
    assert (run.state, run.paused_at) == ("PIECES_ASSIGNED", None)
    assert line.report(given, "SnapEncoded")["Finalized"] is False


def pinged(line: Line, *, busy: int) -> None:
    """Say that a worker with two threads lives."""
    summary = {"Threads": 2, "Empty": 2 - busy, "Paused": 0, "Running": busy, "Waiting": 0, "Errors": 0}
    info = {"Name": "w1", "Dest": "10.0.0.1:17890", "Version": "v0.13.0", "Summary": summary}
    line.call("WorkerPing", info)


def test_a_ping_keeps_a_job_that_was_not_named_yet(line: Line, miner: Miner, own: Worker) -> None:
    pinged(line, busy=1)
    run = snap_up(proven(miner), own)
    line.call("AllocateSanpUpSector", SNAP_SPEC)
    soon = clock.now() + timedelta(seconds=5)
    Job.objects.filter(pk=run.job_id).update(lease_until=soon)

    pinged(line, busy=1)

    held = Job.objects.filter(pk=run.job_id, lease_until__gt=soon)
    assert held.exists(), "pieces may take longer than a lease to fetch"


def test_a_worker_tells_its_name_after_it_was_given_a_job(line: Line, miner: Miner, own: Worker) -> None:
    sector = proven(miner)
    snap_up(sector, own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    assert DamoclesJob.objects.get().worker.name == "damocles-worker at 127.0.0.1"

    pinged(line, busy=1)
    assert line.report(given, "PieceAdded")["Finalized"] is False

    assert DamoclesJob.objects.get().worker.name == "w1"
    pinged(line, busy=1)
    assert not Worker.objects.filter(name__startswith="damocles-worker at").exists()


def test_a_drained_worker_is_retired_once_its_job_is_done(
    line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    pinged(line, busy=1)
    sector = proven(miner)
    run = snap_up(sector, own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    line.report(given, "SnapProved")
    host = Worker.objects.get(name="w1")
    worker_retire_drained(host, actor="ann", now=clock.now())

    line.report(given, "SnapProved", level="Permanent")  # its lease is over
    pinged(line, busy=0)
    host.refresh_from_db()
    assert (host.is_draining, host.retired_at) == (True, None), "its thread waits for somebody"
    line.code("SubmitSnapUpProof", named(sector), made(run))
    looks(prover)
    line.call("SubmitSnapUpProof", named(sector), made(run))
    line.call("ReportFinalized", named(sector))
    pinged(line, busy=0)
    host.refresh_from_db()
    assert host.retired_at is not None


def test_after_a_restore_a_thread_counts_as_known_by_its_job(line: Line, miner: Miner, own: Worker) -> None:
    pinged(line, busy=1)
    snap_up(proven(miner), own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    line.report(given, "PieceAdded")
    second = proven(miner)
    rebuild(second, own)
    recovery_begin("restored", now=clock.now())
    SectorNumbers.objects.update_or_create(miner=miner, defaults={"read_back_at": clock.now()})
    recovery = sectors_recovery()
    assert recovery is not None

    pinged(line, busy=1)
    assert "w1" in {host.name for host in hosts_unreported(recovery)}
    assert line.call("AllocateRebuildSector", SPEC) is None
    line.report(given, "SnapEncoded")
    pinged(line, busy=1)

    assert "w1" not in {host.name for host in hosts_unreported(recovery)}
    assert line.call("AllocateRebuildSector", SPEC)["Sector"]["ID"] == named(second)


def test_room_that_a_job_keeps_is_nobody_elses(line: Line, miner: Miner, own: Worker) -> None:
    sector, other = proven(miner), factories.sector(miner)
    snap_up(sector, own)
    line.call("AllocateSanpUpSector", SNAP_SPEC)
    line.report(line.call("AllocateSector", SPEC), "PC2Done")
    most = 3 << 37  # of the half TiB that is free

    assert line.call("StoreReserveSpace", named(sector), most, ["store"]) is not None
    assert line.call("StoreReserveSpace", named(other), most, ["store"]) is None
    line.call("ReportAborted", named(sector), "no use for it")
    assert line.call("StoreReserveSpace", named(other), most, ["store"]) is not None


def test_an_updated_replica_that_nobody_lost_is_not_taken(line: Line, miner: Miner, own: Worker) -> None:
    sector = proven(miner, key_comm_r=OLD, comm_r=NEW, store="")

    assert line.code("SubmitPersistedEx", named(sector), "store", True) == 1
    sector.refresh_from_db()
    assert sector.store == ""


def test_a_pool_without_hosts_of_its_own_begins_for_who_asked(
    line: Line, miner: Miner, prover: Worker
) -> None:
    sector, day = proven(miner), timedelta(days=1)
    with pytest.raises(NoHost):
        hosts_of_run(sector, kind=JobKind.SNAP_UP)
    line.call("AllocateSanpUpSector", SNAP_SPEC)

    [asked] = hosts_of_run(sector, kind=JobKind.SNAP_UP)

    host = Worker.objects.get(pk=asked)
    assert host.is_damocles
    assert damocles_planned(host.tenant_id, JobKind.SNAP_UP, now=clock.now() + day) == []
    with pytest.raises(NoHost):
        hosts_of_run(sector, kind=JobKind.REBUILD)
    with pytest.raises(NoHost):
        hosts_of_run(sector, kind=JobKind.SNAP_UP, is_clearing=True)
    own = factories.worker("sealer-1", kinds=[JobKind.SNAP_UP])
    factories.store(own, "store")
    assert hosts_of_run(sector, kind=JobKind.SNAP_UP) == [own.pk], "its own hosts go first"


def test_a_job_over_a_sector_that_a_worker_still_seals_is_not_given(
    line: Line, miner: Miner, own: Worker
) -> None:
    sector = factories.sector(miner)
    given = line.call("AllocateSector", SPEC)
    line.report(given, "PieceAdded")
    known = proven(factories.miner(2002))
    fields = {
        name: getattr(known, name)
        for name in ("state", "store", "comm_r", "comm_d", "ticket", "ticket_epoch")
    }
    Sector.objects.filter(pk=sector.pk).update(**fields)
    sector.refresh_from_db()
    snap_up(sector, own)

    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is None
    line.call("ReportFinalized", named(sector))
    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is not None
    assert DamoclesJob.objects.count() == 1


# Failures, and what people do


def test_a_thread_that_stopped_pauses_its_run_until_it_goes_on(
    line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    sector = proven(miner)
    run = snap_up(sector, own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]

    line.report(given, "TreeDBuilt", level="Temporary")
    run.refresh_from_db()
    assert run.paused_at is None
    line.report(given, "TreeDBuilt", level="Permanent")
    run.refresh_from_db()
    assert (run.error, run.job.state) == ("TreeDBuilt: disk gone", "PAUSED")
    line.report(given, "TreeDBuilt", level="Permanent")
    assert line.report(given, "SnapEncoded")["Finalized"] is False
    run.refresh_from_db()
    job = Job.objects.get(pk=run.job_id)
    assert (run.paused_at, run.error, job.state, str(job.worker)) == (None, "", "LEASED", "w1")


def test_a_run_that_its_thread_gives_up_begins_again_when_somebody_says_so(
    line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    sector = proven(miner)
    run = snap_up(sector, own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    line.report(given, "SnapProved")
    line.code("SubmitSnapUpProof", named(sector), made(run))

    line.report(given, "Persisted", level="Abort")
    assert line.call("ReportAborted", named(sector), "no use for it") is None
    assert line.call("ReportAborted", named(sector), "no use for it") is None

    run.refresh_from_db()
    assert (run.state, run.error) == ("PIECES_ASSIGNED", "w1 gave it up: no use for it")
    assert run.job.state == "PAUSED"
    told = line.report(given, "SnapProved")
    assert told["Finalized"] is True
    run_retry(run, by=people.principal(), now=clock.now())
    assert claimed(own, JobKind.SNAP_UP, "SNAP_ENCODE") == 1
    assert Piece.objects.get().state == "PACKED"


def test_a_person_ends_it_and_its_thread_hears(line: Line, miner: Miner, own: Worker) -> None:
    sector = proven(miner)
    run = snap_up(sector, own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    line.report(given, "PieceAdded")

    run_abort(run, reason="not wanted", by=people.principal(), now=clock.now())

    told = line.report(given, "SnapEncoded")
    assert told == {"Id": named(sector), "Finalized": True, "AbortReason": "the job was aborted"}
    assert line.call("SubmitSnapUpProof", named(sector), made(run))["Res"] == 4
    assert not WorkerCommand.objects.exists(), "it clears its own folder"
    assert Piece.objects.get().state == "READY"


def test_what_a_retired_worker_had_begins_again_elsewhere(
    line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    run = snap_up(proven(miner), own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    line.report(given, "PieceAdded")

    worker_retire(Worker.objects.get(name="w1"), now=clock.now())
    assert missing_host_runs_follow(silent_since=None, now=clock.now()) == 1

    assert claimed(own, JobKind.SNAP_UP, "SNAP_ENCODE") == 1
    assert line.call("SubmitSnapUpProof", given["ID"], made(run))["Res"] == 4


WRITES = [
    (job_locks, "run_report"),
    (job_locks, "advance"),
    (damocles_runs, "files_check_read"),
    (damocles_files, "files_check_start"),
    (run_reports, "run_move"),
]


@pytest.mark.django_db(transaction=True)
def test_a_console_killed_at_any_write_loses_and_doubles_nothing(
    line: Line, miner: Miner, own: Worker, prover: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sector = proven(miner)
    run = snap_up(sector, own)
    kills = Kills(monkeypatch, WRITES)

    def asked(method: str, *params: Any) -> dict[str, Any]:
        for _ in range(40):
            try:
                return line.answer(method, *params)
            except Killed:
                continue
        raise AssertionError(method)

    given = asked("AllocateSanpUpSector", SNAP_SPEC)["result"]["Sector"]
    Job.objects.filter(pk=run.job_id).update(state="READY", worker=None)
    told = {
        "Worker": {"Instance": "w1", "Location": "/mnt/a"},
        "StateChange": {"Prev": "Empty", "Next": "SnapProved", "Event": "X"},
        "Failure": None,
    }
    assert asked("ReportState", given["ID"], told)["result"]["Finalized"] is False
    for _ in range(3):
        answer = asked("SubmitSnapUpProof", given["ID"], made(run))
        looks(prover)
    assert answer["result"] == {"Res": 1, "Desc": None}

    assert kills.left == set()
    steps = JobEvent.objects.filter(job=run.job, seq__isnull=False).order_by("seq")
    assert list(steps.values_list("seq", "event")) == [(1, "SNAP_ENCODE"), (2, "SNAP_PROVE"), (3, "PERSIST")]
