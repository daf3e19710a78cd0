"""Proofs of windows for damocles-workers: leases, heartbeats, results, and what their operator does."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.miners.models import Miner
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.services.hosts.retirement import worker_retire_drained
from apps.sectors.services.jobs.leases import leases_sweep
from apps.users.models import AuditEntry
from apps.users.services.tokens import TokenLimits
from poolsite.wire.codec import document_encode
from poolsite.wire.job_inputs import ProvenSector, WindowPostInputs
from tests import factories, people
from tests.unit.apps.api.rpc.damocles_line import Line

pytestmark = pytest.mark.django_db

ANY: dict[str, Any] = {"AllowedMiners": None, "AllowedProofTypes": None}
SMALL = "StackedDrgWindow2KiBV1_2"
COMM_R, SEED = bytes([9]) * 31 + b"\0", bytes([3]) * 31 + b"\xff"
PROOF = b"p" * 192
ONE = TokenLimits(miners=[2005])


def offered(miner: Miner, *, post_proof: int = 10, **data: Any) -> Job:
    """A proof that nobody makes yet, of two sectors that lie in some store."""
    for number in (7, 8):
        if not Sector.objects.filter(miner=miner, number=number).exists():
            factories.sector(miner, number=number, state="PROVING", store="cold", comm_r=COMM_R)
    comm: dict[str, Any] = {"seal_proof": miner.seal_proof, "comm_r": COMM_R}
    inputs = WindowPostInputs(
        miner_id=miner.actor_id or 0,
        post_proof=post_proof,
        randomness=SEED,
        sectors=tuple(ProvenSector(number=number, **comm) for number in (7, 8)),
        deadline=3,
        close_epoch=1060,
    )
    job: Job = factories.proof_job(
        miner, worker=None, state="READY", lease_until=None, inputs=document_encode(inputs), **data
    )
    return job


def allocated(line: Line, spec: dict[str, Any] | None = None, worker: str = "w1") -> list[Any]:
    found: list[Any] = line.call("WdPoStAllocateJobs", spec or ANY, 5, worker)
    return found


def given(line: Line, miner: Miner) -> tuple[Job, str]:
    """A proof that a worker has."""
    job = offered(miner)
    [one] = allocated(line)
    return job, one["Id"]


def made(proof: bytes = PROOF, faults: list[int] | None = None) -> dict[str, Any]:
    return {"proofs": [b64encode(proof).decode()], "faults": faults or []}


def test_a_worker_gets_a_proof_with_the_places_of_its_files(line: Line, miner: Miner) -> None:
    factories.sector(miner, number=7, state="PROVING", store="cold", comm_r=COMM_R)
    factories.sector(miner, number=8, state="PROVING", store="hot", comm_r=COMM_R, key_comm_r=SEED)
    job = offered(miner)

    [one] = allocated(line)

    job.refresh_from_db()
    worker = Worker.objects.get(name="w1")
    assert (one["Id"], job.state, job.worker) == (f"{job.uuid}.{job.lease_token}", "LEASED", worker)
    assert (one["Input"]["MinerId"], one["Input"]["ProofType"]) == (2001, SMALL)
    assert one["Input"]["Seed"] == [*SEED[:31], 0x3F], "as damocles-manager sends it"
    sectors = one["Input"]["Sectors"]
    assert [(row["SectorId"], row["Upgrade"]) for row in sectors] == [(7, False), (8, True)]
    assert [row["Accesses"]["SealedFile"] for row in sectors] == ["cold", "hot"]
    assert sectors[0]["CommR"] == [*COMM_R]
    assert allocated(line, worker="w2") == [], "nobody gets it twice"


def test_a_worker_gets_no_proof_of_a_sector_without_a_store(line: Line, miner: Miner) -> None:
    factories.sector(miner, number=7, state="PROVING", comm_r=COMM_R)
    job = offered(miner)
    assert allocated(line) == [], "it would make none at all"
    Sector.objects.get(number=7).delete()
    assert allocated(line) == []

    factories.sector(miner, number=7, state="PROVING", store="hot", comm_r=COMM_R)

    assert [one["Id"].partition(".")[0] for one in allocated(line)] == [str(job.uuid)]


def test_a_lapsed_lease_of_a_sector_without_a_store_goes_to_no_worker(line: Line, miner: Miner) -> None:
    factories.sector(miner, number=7, state="PROVING", comm_r=COMM_R)
    job = offered(miner)
    lapsed = {"worker": factories.worker("prover-1"), "lease_until": clock.now() - timedelta(seconds=1)}
    Job.objects.filter(pk=job.pk).update(state="LEASED", lease_token=1, **lapsed)

    assert allocated(line) == []

    Sector.objects.filter(number=7).update(store="hot")
    assert len(allocated(line)) == 1


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ({"AllowedMiners": [2001], "AllowedProofTypes": [SMALL]}, 1),
        ({"AllowedMiners": [2002], "AllowedProofTypes": []}, 0),
        ({"AllowedMiners": [], "AllowedProofTypes": ["StackedDrgWindow32GiBV1_2"]}, 0),
        ({"AllowedMiners": [], "AllowedProofTypes": ["StackedDrgWindow2KiBV1"]}, 0),
        ({"AllowedMiners": [], "AllowedProofTypes": ["Unknown"]}, 0),
    ],
)
def test_a_worker_gets_only_what_it_asks_for(line: Line, miner: Miner, spec: Any, count: int) -> None:
    offered(miner)
    factories.sector(miner)  # nor a sector to seal

    assert len(allocated(line, spec)) == count


def test_a_short_windows_lease_outlasts_a_missed_heartbeat(line: Line, miner: Miner) -> None:
    job = offered(miner, lease_s=1)
    assert len(allocated(line)) == 1

    leases_sweep(now=clock.now() + timedelta(seconds=5))

    job.refresh_from_db()
    assert (job.state, job.worker) == ("LEASED", Worker.objects.get(name="w1"))
    leases_sweep(now=clock.now() + timedelta(seconds=8))
    job.refresh_from_db()
    assert job.state == "READY"


def test_a_worker_gets_no_proof_of_others_nor_one_offered_to_others(line: Line, miner: Miner) -> None:
    offered(factories.miner(2002, of="bob"))
    offered(miner, offered_to=[factories.worker("prover-1").pk])
    assert allocated(line) == []
    offered(miner)
    Worker.objects.filter(name="w1").update(is_paused=True)

    assert allocated(line) == [], "somebody has paused it"
    assert line.call("WdPoStAllocateJobs", ANY, 0, "w2") == []
    assert len(allocated(line, worker="w2")) == 1


def test_a_token_of_some_miners_proves_for_no_other(client: Client, miner: Miner) -> None:
    job = offered(miner)
    partial = Line(client, people.token("write", of="alice", scopes=["sealer"], limits=ONE))
    whole = Line(client, people.token("write", of="alice", scopes=["sealer"]))

    assert allocated(partial) == []
    [one] = allocated(whole)
    assert partial.code("WdPoStFinishJob", one["Id"], made(), "") == 1
    job.refresh_from_db()
    assert job.state == "LEASED"
    operator = Line(client, people.token("write", of="alice", limits=ONE))
    assert operator.call("WdPoStAllJobs")["Jobs"] == []
    assert operator.code("WdPoStRemoveJob", one["Id"]) == 1


@pytest.mark.parametrize("form", [lambda proof: b64encode(proof).decode(), list], ids=["base64", "numbers"])
def test_a_proof_is_taken_once_from_whoever_holds_the_lease(line: Line, miner: Miner, form: Any) -> None:
    job, name = given(line, miner)

    for _ in range(2):  # its answer may be lost
        assert line.call("WdPoStFinishJob", name, {"proofs": [form(PROOF)], "faults": []}, "") is None

    job.refresh_from_db()
    assert (job.state, bytes(job.proof or b""), job.result["worker"]) == ("DONE", PROOF, "w1")
    assert job.result["ms"] > 0
    assert line.call("WdPoStFinishJob", name, made(b"other"), "") is None, "it is dropped"
    job.refresh_from_db()
    assert bytes(job.proof or b"") == PROOF


def test_a_worker_whose_lease_went_to_another_changes_nothing(line: Line, miner: Miner) -> None:
    job, old = given(line, miner)
    Job.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    leases_sweep(now=clock.now())
    [again] = allocated(line, worker="w2")

    assert line.call("WdPoStHeartbeatJobs", [old], "w1") is None
    assert line.call("WdPoStFinishJob", old, made(b"late"), "") is None
    assert line.call("WdPoStFinishJob", old, None, "it broke") is None

    job.refresh_from_db()
    assert (job.state, job.worker, job.proof, job.attempts) == (
        "LEASED",
        Worker.objects.get(name="w2"),
        None,
        0,
    )
    assert line.call("WdPoStFinishJob", again["Id"], made(), "") is None
    job.refresh_from_db()
    assert bytes(job.proof or b"") == PROOF


def test_heartbeats_prolong_the_lease_of_the_one_that_holds_it(line: Line, miner: Miner) -> None:
    job, name = given(line, miner)
    past = clock.now() - timedelta(seconds=10)
    Job.objects.update(lease_until=past, heard_at=past)

    line.call("WdPoStHeartbeatJobs", [name], "w2")
    job.refresh_from_db()
    assert job.lease_until == past, "it is not w2's"
    line.call("WdPoStHeartbeatJobs", [name], "w1")

    job.refresh_from_db()
    assert job.lease_until is not None
    assert job.lease_until > clock.now()
    assert line.code("WdPoStHeartbeatJobs", ["nonsense"], "w1") == 1


def test_a_failure_and_faults_are_told_as_a_provers(line: Line, miner: Miner) -> None:
    job, name = given(line, miner)
    line.call("WdPoStFinishJob", name, None, "no memory")
    job.refresh_from_db()
    assert (job.state, job.attempts, job.error) == ("READY", 1, "no memory")
    Job.objects.update(not_before=None)
    [again] = allocated(line)

    line.call("WdPoStFinishJob", again["Id"], made(b"", [8]), "")

    job.refresh_from_db()
    assert (job.state, job.result["faults"], job.proof) == ("DONE", [8], None)


def test_faults_of_a_whole_partition_are_stored(line: Line, miner: Miner) -> None:
    job, name = given(line, miner)
    many = list(range(1, 2350))

    line.call("WdPoStFinishJob", name, made(b"", many), "")

    job.refresh_from_db()
    assert (job.state, job.result["faults"]) == ("DONE", many)


@pytest.mark.parametrize("is_swept", [False, True])
def test_a_reset_job_is_not_its_hung_hosts_any_more(
    line: Line, client: Client, miner: Miner, is_swept: bool
) -> None:
    job, name = given(line, miner)
    if is_swept:  # it sends no heartbeats
        Job.objects.update(lease_until=clock.now() - timedelta(seconds=1))
        leases_sweep(now=clock.now())
    Line(client, people.token("write", of="alice")).call("WdPoStResetJob", name)

    line.call("WdPoStFinishJob", name, made(b"late"), "")
    line.call("WdPoStHeartbeatJobs", [name], "w1")

    job.refresh_from_db()
    assert (job.state, job.proof, job.worker) == ("READY", None, None)
    assert "reset by" in job.events.get(event="LEASE_OVER").note
    [again] = allocated(line, worker="w2")
    assert again["Id"] != name


def test_a_host_with_a_window_is_retired_once_it_is_proved(line: Line, miner: Miner) -> None:
    ping = {"Name": "w1", "Dest": "10.0.0.1:17890"}
    job, name = given(line, miner)
    host = Worker.objects.get(name="w1")
    worker_retire_drained(host, actor="ann", now=clock.now())

    line.call("WorkerPing", ping)

    job.refresh_from_db()
    host.refresh_from_db()
    assert (job.state, job.worker, host.retired_at, host.is_draining) == ("LEASED", host, None, True)
    line.call("WdPoStFinishJob", name, made(), "")
    with CaptureQueriesContext(connection) as seen:
        line.call("WorkerPing", ping)
    host.refresh_from_db()
    assert host.retired_at is not None
    told = [one["sql"] for one in seen]
    labels = min(at for at, sql in enumerate(told) if "pg_advisory_xact_lock" in sql)
    row = min(at for at, sql in enumerate(told) if " FOR " in sql and '"sectors_worker"' in sql)
    assert labels < row, "as all lock who retire a host"


def test_an_operator_sees_resets_and_removes_jobs(line: Line, client: Client, miner: Miner) -> None:
    job, name = given(line, miner)
    operator = Line(client, people.token("write", of="alice"))
    listed = operator.call("WdPoStAllJobs")
    [row] = listed["Jobs"]
    assert (row["Id"], row["State"], row["WorkerName"], row["TryNum"]) == (name, "running", "w1", 1)
    assert (row["DeadlineIdx"], row["Input"]["MinerId"], listed["MaxTry"] > 0) == (3, 2001, True)
    assert (row["Sectors"], row["Faults"], row["Input"]["Sectors"]) == (len(job.inputs["sectors"]), 0, None)

    operator.call("WdPoStResetJob", name)
    job.refresh_from_db()
    assert (job.state, job.worker) == ("READY", None)
    assert operator.call("WdPoStAllJobs")["Jobs"][0]["State"] == "ready2run"
    operator.call("WdPoStRemoveJob", name)

    job.refresh_from_db()
    assert job.state == "FAILED"
    assert operator.call("WdPoStAllJobs")["Jobs"][0]["State"] == "finished"
    assert operator.code("WdPoStResetJob", name) == 1, "it is over"
    acts = set(AuditEntry.objects.filter(target=miner.address).values_list("action", flat=True))
    assert acts >= {"proving.job-reset", "proving.job-remove"}
    stranger = Line(client, people.token("write", of="bob"))
    assert stranger.call("WdPoStAllJobs")["Jobs"] == []
    assert stranger.code("WdPoStRemoveJob", name) == 1
    reader = Line(client, people.token("read", of="alice"))
    assert "missing permission" in reader.answer("WdPoStRemoveJob", name)["error"]["message"]
