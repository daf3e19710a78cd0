"""Snap-ups, rebuilds and unsealing for damocles-workers without a chain: forms, refusals, losses, repeats."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from apps.core import clock
from apps.messages.services.recovery.detect import recovery_begin
from apps.pieces.commitments import commitment_of
from apps.pieces.models import Piece
from apps.sectors.damocles_models import DamoclesJob
from apps.sectors.damocles_selectors import damocles_planned
from apps.sectors.errors import NoHost
from apps.sectors.host_models import DAMOCLES, Worker, WorkerCommand
from apps.sectors.models import Job, JobEvent, Sector
from apps.sectors.number_models import SectorNumbers
from apps.sectors.params import comm_d_of, pieces_column
from apps.sectors.restored import hosts_unreported, sectors_recovery
from apps.sectors.run_models import PipelineRun
from apps.sectors.services import damocles_files, damocles_jobs, damocles_runs, runs
from apps.sectors.services.claims import jobs_claim
from apps.sectors.services.reports import job_complete
from apps.sectors.services.retirement import worker_retire, worker_retire_drained
from apps.sectors.services.runs import hosts_of_run, run_abort, run_begin, run_retry
from apps.sectors.services.runs_elsewhere import gone_runs_follow
from apps.sectors.services.unsealing import unseal_request
from apps.users.services.tokens import TokenLimits
from poolsite.filecoin.cids import commd_cid, commr_cid
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import BadSector, Claim, Complete, JobKind
from poolsite.wire.jobs import Piece as WirePiece
from poolsite.wire.pipeline import RebuildState, SnapState
from tests import factories, people
from tests.integration.sealing.kills import Killed, Kills
from tests.unit.apps.api.rpc.damocles_line import SPEC, TICKET, Line, named

if TYPE_CHECKING:
    from pathlib import Path

    from django.test import Client

    from apps.miners.models import Miner

pytestmark = pytest.mark.django_db

OLD, NEW = bytes([5]) * 31 + b"\0", bytes([6]) * 31 + b"\0"
SNAP_SPEC = {"Sector": SPEC, "Deals": {"MaxDeals": None, "MinUsedSpace": None}}
ROOM = 1 << 13
PROOF = b"update proof"


@pytest.fixture
def line(client: Client) -> Line:
    return Line(client, people.token("write", of="alice", scopes=["sealer"]))


@pytest.fixture
def miner() -> Miner:
    factories.head(1000)
    return factories.miner(2001)


@pytest.fixture
def prover() -> Worker:
    host = factories.worker("prover-1", kinds=[JobKind.WINDOW_POST, JobKind.SECTOR_CHECK])
    factories.store(host, "store")
    return host


@pytest.fixture
def own(prover: Worker) -> Worker:
    """A sealing host of the pool's own."""
    host = factories.worker(
        "sealer-1", kinds=[JobKind.SEAL, JobKind.SNAP_UP, JobKind.REBUILD, JobKind.UNSEAL]
    )
    factories.store(host, "store")
    return host


def proven(miner: Miner, **data: Any) -> Sector:
    """A sector that the chain has."""
    known: dict[str, Any] = {
        "state": "PROVING",
        "store": "store",
        "comm_r": OLD,
        "comm_d": sha254_zero(miner.sector_size),
        "ticket": TICKET,
        "ticket_epoch": 100,
        "activation": 200,
        "expiration": 9000,
        "active": True,
    }
    return factories.sector(miner, **known | data)


def snap_up(sector: Sector, own: Worker) -> PipelineRun:
    """A snap-up that waits, with a piece of a client and zeros behind it."""
    factories.piece(
        sector.miner, state="PACKED", piece_cid=str(commd_cid(NEW)), sector_number=sector.number, offset=0
    )
    sizes = [128, 128, 256, 512, 1024]
    pieces = [WirePiece(size=128, comm_p=NEW, payload_size=100)]
    pieces += [WirePiece(size=size, comm_p=sha254_zero(size)) for size in sizes[1:]]
    return run_begin(
        sector,
        kind=JobKind.SNAP_UP,
        state=SnapState.PIECES_ASSIGNED,
        actor="ann",
        now=clock.now(),
        hosts=[own.pk],
        pieces=pieces_column(pieces),
    )


def rebuild(sector: Sector, own: Worker) -> PipelineRun:
    """A rebuild that waits."""
    return run_begin(
        sector, kind=JobKind.REBUILD, state=RebuildState.LOST, actor="ann", now=clock.now(), hosts=[own.pk]
    )


def made(run: PipelineRun, **changes: Any) -> dict[str, Any]:
    """What SubmitSnapUpProof carries."""
    comm_d = comm_d_of(run.sector, pieces=run.pieces)
    cids = [{"/": str(commd_cid(bytes.fromhex(piece["comm_p"])))} for piece in run.pieces]
    known = {"CommR": [*NEW], "CommD": [*comm_d], "AccessInstance": "store", "Pieces": cids}
    return {**known, "Proof": b64encode(PROOF).decode(), **changes}


def looks(prover: Worker, *, reason: str = "") -> int:
    """Have a prover make the looks that it is given; returns how many."""
    now = clock.now()
    claim = Claim(
        worker_id=str(prover.uuid), boot_id=prover.boot_id, kinds=(JobKind.SECTOR_CHECK,), stages={}, max=9
    )
    jobs = jobs_claim(prover, claim, now=now).jobs
    for job in jobs:
        assert job.sector_check is not None
        assert job.sector_check.store == "uid-store", "no other store's files count"
        numbers = tuple(one.number for one in job.sector_check.sectors) if reason else ()
        bad = tuple(BadSector(number=number, path="/mnt/store", reason=reason) for number in numbers)
        told = Complete(token=job.token, proof=b"", faults=numbers, ms=1, read_ms=1, bad=bad)
        job_complete(job.id, told, tenant_id=prover.tenant_id, now=now)
    return len(jobs)


def claimed(own: Worker, kind: JobKind, stage: str) -> int:
    """How many jobs a host of the pool's own gets."""
    stages = {stage: 9}
    claim = Claim(
        worker_id=str(own.uuid), boot_id=own.boot_id, kinds=(kind,), stages=stages, new_sectors=9, max=9
    )
    return len(jobs_claim(own, claim, now=clock.now()).jobs)


def lapse(run: PipelineRun) -> None:
    """Let a lease run out."""
    Job.objects.filter(pk=run.job_id).update(lease_until=clock.now() - timedelta(seconds=1))


# Snap-ups


def test_a_snap_up_is_given_out_once_in_damocles_forms(line: Line, miner: Miner, own: Worker) -> None:
    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is None
    sector = proven(miner)
    run = snap_up(sector, own)

    given = line.call("AllocateSanpUpSector", SNAP_SPEC)

    assert given["Sector"] == {"ID": named(sector), "ProofType": sector.seal_proof}
    first, *zeros = given["Pieces"]
    row = Piece.objects.get()
    assert first["Piece"] == {"Size": 128, "PieceCID": {"/": str(commd_cid(NEW))}}
    assert (first["DealInfo"]["PayloadSize"], first["DealInfo"]["AllocationID"]) == (100, row.pk)
    assert {(one["DealInfo"]["DealID"], one["DealInfo"]["AllocationID"]) for one in zeros} == {(0, 0)}
    assert given["Public"] == {
        "CommR": [*OLD],
        "SealedCID": {"/": str(commr_cid(OLD))},
        "Activation": 200,
        "Expiration": 9000,
    }
    assert given["Private"] == {"AccessInstance": "store"}
    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is None, "it is given out"
    assert claimed(own, JobKind.SNAP_UP, "SNAP_ENCODE") == 0
    run.job.refresh_from_db()
    holder = run.job.worker
    assert (run.job.state, holder is not None and holder.is_damocles) == ("LEASED", True)


def test_only_what_a_worker_takes_is_given(client: Client, line: Line, miner: Miner, own: Worker) -> None:
    sector = proven(miner)
    snap_up(sector, own)
    stranger = Line(client, people.token("write", of="bob", scopes=["sealer"]))
    limits = TokenLimits(miners=(2999,))
    limited = Line(client, people.token("write", of="alice", scopes=["sealer"], limits=limits))
    reader = Line(client, people.token("read", of="alice"))

    assert stranger.call("AllocateSanpUpSector", SNAP_SPEC) is None
    assert limited.call("AllocateSanpUpSector", SNAP_SPEC) is None
    assert "missing permission" in reader.answer("AllocateSanpUpSector", SNAP_SPEC)["error"]["message"]
    for spec in (
        {"AllowedMiners": [9], "AllowedProofTypes": None},
        {"AllowedMiners": [], "AllowedProofTypes": [8]},
    ):
        assert line.call("AllocateSanpUpSector", {**SNAP_SPEC, "Sector": spec}) is None
    assert line.call("AllocateRebuildSector", SPEC) is None, "it is no rebuild"
    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is not None
    run = PipelineRun.objects.get()
    for other in (stranger, limited):
        assert other.code("SubmitSnapUpProof", named(sector), made(run)) == 1, "on 11001 it would wipe"
        assert other.code("ReportFinalized", named(sector)) == 1
        assert other.code("ReportAborted", named(sector), "mine") == 1
    assert PipelineRun.objects.get().paused_at is None


def test_a_paused_host_gets_none(line: Line, miner: Miner, own: Worker) -> None:
    snap_up(proven(miner), own)
    line.call("AllocateSector", SPEC)  # its first word makes its row
    Worker.objects.filter(kinds__contains=[DAMOCLES]).update(is_paused=True)

    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is None


def test_an_update_is_accepted_once_a_prover_has_seen_its_files(
    line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    sector = proven(miner)
    run = snap_up(sector, own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    line.report(given, "SnapEncoded")
    assert line.call("StoreReserveSpace", named(sector), ROOM, ["store"])["Name"] == "store"
    assert line.call("StoreReserveSpace", named(sector), ROOM, [])["Name"] == "store"
    submit = ("SubmitSnapUpProof", named(sector), made(run))

    assert "no prover has looked" in line.answer(*submit)["error"]["message"]
    assert line.code(*submit) == 1, "it asks again"
    run.refresh_from_db()
    assert (run.state, bytes(run.comm_r or b"")) == ("SNAP_PROVED", NEW)
    assert line.code("ReportFinalized", named(sector)) == 1, "its files stay"
    assert looks(prover) == 1
    assert line.call(*submit) == {"Res": 1, "Desc": None}
    assert line.call(*submit) == {"Res": 1, "Desc": None}
    other = made(run, CommR=[*OLD])
    assert line.call("SubmitSnapUpProof", named(sector), other)["Res"] == 4
    run.refresh_from_db()
    assert (run.state, run.job.state, bytes(run.proof or b"")) == ("SNAP_STORED", "WAITING", PROOF)
    assert line.report(given, "Persisted")["Finalized"] is False
    assert line.call("ReportFinalized", named(sector)) is None
    assert line.call("ReportFinalized", named(sector)) is None
    assert line.report(given, "Finished")["Finalized"] is True
    steps = JobEvent.objects.filter(job=run.job, seq__isnull=False).order_by("seq")
    assert list(steps.values_list("event", "ms")) == [
        ("SNAP_ENCODE", None),
        ("SNAP_PROVE", None),
        ("PERSIST", None),
    ]


def test_what_is_not_the_update_is_rejected_and_nothing_of_it_stays(
    line: Line, miner: Miner, own: Worker
) -> None:
    run = snap_up(proven(miner), own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"Proof": ""}, "empty proof"),
        ({"CommD": [*OLD]}, "commitment of the pieces"),
        ({"Pieces": made(run)["Pieces"][:-1]}, "pieces"),
        ({"AccessInstance": "elsewhere"}, "store store"),
    ]

    for changes, words in wrong:
        answer = line.call("SubmitSnapUpProof", given["ID"], made(run, **changes))
        assert (answer["Res"], words in answer["Desc"]) == (4, True), answer
    run.refresh_from_db()
    assert (run.state, run.comm_r, run.job.events.filter(seq__isnull=False).count()) == (
        "PIECES_ASSIGNED",
        None,
        0,
    )


def test_files_that_are_missing_are_stored_again(
    line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    run = snap_up(proven(miner), own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    submit = ("SubmitSnapUpProof", given["ID"], made(run))

    line.code(*submit)
    looks(prover, reason="truncated")
    assert line.call(*submit) == {"Res": 5, "Desc": "truncated"}
    assert line.code(*submit) == 1, "they are looked at anew"
    assert looks(prover) == 1
    assert line.call(*submit)["Res"] == 1


def test_an_update_goes_beside_its_sector(line: Line, miner: Miner, own: Worker, prover: Worker) -> None:
    factories.store(own, "other")
    sector = proven(miner)
    snap_up(sector, own)
    line.call("AllocateSanpUpSector", SNAP_SPEC)

    refused = line.answer("StoreReserveSpace", named(sector), ROOM, ["other"])["error"]["message"]
    assert "lies in store store" in refused
    assert line.call("StoreReserveSpace", named(sector), ROOM, ["other", "store"])["Name"] == "store"
    general = Line(line.client, people.token("write", of="alice"))
    kept = {one["Name"]: [kept["Size"] for kept in one["ReservedBy"]] for one in general.call("StoreList")}
    assert kept == {"store": [ROOM], "other": []}
    assert line.call("StoreReserveSpace", named(sector), 1 << 50, ["store"]) is None, "there is no such room"
    assert general.call("StoreReleaseReserved", named(sector)) is True
    assert general.call("StoreReleaseReserved", named(sector)) is False


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
    assert (answer["Res"], "given to sealer-1 since" in answer["Desc"]) == (4, True)
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
    assert gone_runs_follow(silent_since=None, now=clock.now()) == 1

    assert claimed(own, JobKind.SNAP_UP, "SNAP_ENCODE") == 1
    assert line.call("SubmitSnapUpProof", given["ID"], made(run))["Res"] == 4


WRITES = [
    (damocles_jobs, "run_report"),
    (damocles_jobs, "advance"),
    (damocles_runs, "look_read"),
    (damocles_files, "look_begin"),
    (runs, "run_move"),
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


# Rebuilds


@pytest.mark.parametrize("is_update", [False, True])
def test_a_rebuild_is_given_out_seen_and_done(
    line: Line, miner: Miner, own: Worker, prover: Worker, is_update: bool
) -> None:
    assert line.call("AllocateRebuildSector", SPEC) is None
    data: dict[str, Any] = {"key_comm_r": OLD, "comm_r": NEW} if is_update else {}
    sector = proven(miner, **data)
    run = rebuild(sector, own)

    given = line.call("AllocateRebuildSector", SPEC)

    public = {"CommR": [*OLD], "SealedCID": {"/": str(commr_cid(OLD))}, "Activation": 200, "Expiration": 9000}
    assert given == {
        "Sector": {"ID": named(sector), "ProofType": sector.seal_proof},
        "Ticket": {"Ticket": b64encode(TICKET).decode(), "Epoch": 100},
        "Pieces": None,
        "PiecesV2": None,
        "IsSnapUp": is_update,
        "UpgradePublic": public if is_update else None,
    }
    assert line.call("AllocateRebuildSector", SPEC) is None
    line.report(given["Sector"], "PC1Done")
    run.refresh_from_db()
    assert run.state == "REBUILD_PC1_DONE"
    line.report(given["Sector"], "PieceAdded")  # late
    submit = ("SubmitPersistedEx", named(sector), "store", is_update)
    assert line.code("SubmitPersistedEx", named(sector), "store", not is_update) == 1
    assert line.call("SubmitPersistedEx", named(sector), "nowhere", is_update) is False
    assert line.code(*submit) == 1
    assert line.code("ReportFinalized", named(sector)) == 1
    assert looks(prover) == 1
    assert line.call(*submit) is True
    assert line.call(*submit) is True
    assert line.call("ReportFinalized", named(sector)) is None
    run.refresh_from_db()
    assert (run.state, run.job.state) == ("REBUILD_CLEARED", "WAITING")
    sector.refresh_from_db()
    assert (sector.store, bytes(sector.comm_r or b"")) == ("store", NEW if is_update else OLD)


def test_a_rebuild_with_other_files_stops_and_goes_on_with_its_thread(
    line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    sector = proven(miner)
    run = rebuild(sector, own)
    given = line.call("AllocateRebuildSector", SPEC)["Sector"]
    submit = ("SubmitPersistedEx", named(sector), "store", False)
    line.report(given, "SnapDone")
    line.code(*submit)
    looks(prover, reason="comm_r differs")

    assert line.call(*submit) is False

    run.refresh_from_db()
    assert (run.error, run.job.state) == ("store store lacks its files: comm_r differs", "PAUSED")
    line.report(given, "Persisted", level="Permanent")
    assert line.code(*submit) == 1, "its thread was resumed"
    assert looks(prover) == 1
    assert line.call(*submit) is True


# Unsealing


@pytest.fixture
def piece(miner: Miner, own: Worker, settings: Any, tmp_path: Path) -> Piece:
    """A piece in a sector, which somebody wants."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    sector, raw = proven(miner), tmp_path / "raw"
    raw.write_bytes(DATA)
    row = factories.piece(
        miner,
        state="ACTIVE",
        piece_cid=str(commitment_of(raw).cid),
        payload_size=len(DATA),
        has_data=False,
        sector_number=sector.number,
        offset=0,
    )
    unseal_request(row, now=clock.now())
    return row


DATA = bytes(range(100))


def brought(line: Line, cid: str, data: bytes) -> int:
    headers = people.bearer(line.token)
    sent = line.client.put(
        f"/piecestore/{cid}", data, content_type="", headers=headers, REMOTE_ADDR=line.address
    )
    return sent.status_code


def test_a_piece_is_given_out_brought_and_achieved(
    client: Client, line: Line, piece: Piece, own: Worker
) -> None:
    sector, cid = Sector.objects.get(), {"/": piece.piece_cid}

    given = line.call("AllocateUnsealSector", SPEC)

    assert given == {
        "Sector": {"ID": named(sector), "ProofType": sector.seal_proof},
        "PieceCid": cid,
        "Offset": 0,
        "Size": len(DATA),
        "PrivateInfo": {"AccessInstance": "store"},
        "Ticket": {"Ticket": b64encode(TICKET).decode(), "Epoch": 100},
        "CommD": [*bytes(sector.comm_d or b"")],
        "Dest": [],
        "State": "unsealing",
        "ErrorInfo": "",
    }
    assert line.call("AllocateUnsealSector", SPEC) is None
    assert claimed(own, JobKind.UNSEAL, "UNSEAL") == 0
    assert brought(line, piece.piece_cid, DATA) == 404, "nobody asked for it yet"
    for _ in range(2):
        assert line.call("AcquireUnsealDest", named(sector), cid) == [f"store:///{piece.piece_cid}"]
    other = {"/": factories.piece_cid(9)}
    assert line.code("AcquireUnsealDest", named(sector), other) == 1
    assert line.code("AchieveUnsealSector", named(sector), cid, "") == 1, "the bytes have not come"
    stranger = Line(client, people.token("write", of="bob", scopes=["sealer"]))
    assert brought(stranger, piece.piece_cid, DATA) == 404
    assert brought(Line(client, people.token("read", of="alice")), piece.piece_cid, DATA) == 403
    elsewhere = Line(client, line.token, address="10.0.0.9")
    assert brought(elsewhere, piece.piece_cid, DATA) == 404
    assert brought(line, piece.piece_cid, bytes(100)) == 400
    assert brought(line, piece.piece_cid, DATA[:-1]) == 409
    assert brought(line, piece.piece_cid, DATA) == 204
    assert brought(line, piece.piece_cid, DATA) == 204
    assert line.call("AcquireUnsealDest", named(sector), cid) == [], "they are here"
    for _ in range(2):
        assert line.call("AchieveUnsealSector", named(sector), cid, "") is None
    assert line.report(given["Sector"], "Finished")["Finalized"] is False
    assert line.call("ReportFinalized", named(sector)) is None
    job = Job.objects.get(kind=JobKind.UNSEAL)
    assert (job.state, Piece.objects.get().has_data) == ("DONE", True)
    events = job.events.filter(seq__isnull=False).order_by("seq")
    assert list(events.values_list("event", flat=True)) == ["UNSEAL", "UPLOAD"]


@pytest.mark.parametrize("is_told", [False, True])
def test_a_piece_that_cannot_be_unsealed_is_free_for_others(
    line: Line, piece: Piece, own: Worker, is_told: bool
) -> None:
    given = line.call("AllocateUnsealSector", SPEC)
    if is_told:
        line.call("AchieveUnsealSector", given["Sector"]["ID"], given["PieceCid"], "disk gone")
    else:
        line.report(given["Sector"], "Allocated", level="Permanent")

    job = Job.objects.get(kind=JobKind.UNSEAL)
    assert (job.state, "disk gone" in job.error) == ("FAILED", True)
    assert line.report(given["Sector"], "Unsealed")["Finalized"] is True
    assert line.code("AcquireUnsealDest", given["Sector"]["ID"], given["PieceCid"]) == 11001
    unseal_request(piece, now=clock.now(), is_retry=True)
    assert claimed(own, JobKind.UNSEAL, "UNSEAL") == 1


def test_two_pieces_of_a_sector_are_unsealed_one_after_the_other(line: Line, piece: Piece) -> None:
    second = factories.piece(piece.miner, state="ACTIVE", sector_number=piece.sector_number, offset=128)
    unseal_request(second, now=clock.now())
    given = line.call("AllocateUnsealSector", SPEC)
    assert line.call("AllocateUnsealSector", SPEC) is None, "calls name the sector alone"
    line.call("AchieveUnsealSector", given["Sector"]["ID"], given["PieceCid"], "disk gone")
    line.call("ReportFinalized", given["Sector"]["ID"])

    assert line.call("AllocateUnsealSector", SPEC)["PieceCid"] == {"/": second.piece_cid}


def test_an_updated_sector_is_unsealed_by_the_pools_own_hosts(line: Line, piece: Piece, own: Worker) -> None:
    Sector.objects.update(key_comm_r=OLD)

    assert line.call("AllocateUnsealSector", SPEC) is None, "a worker would read the replica before it"
    assert claimed(own, JobKind.UNSEAL, "UNSEAL") == 1


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
