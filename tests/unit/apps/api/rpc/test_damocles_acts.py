"""What damocles' command line does to sectors: the console's acts, their refusals, rights and audit lines."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.core import clock
from apps.miners.models import Miner
from apps.proving.models import CheckRun
from apps.sectors.models import DAMOCLES, DamoclesSector, Job, PipelineRun, Sector, SectorChange, Worker
from apps.sectors.services.sealing.steps import sector_abort
from apps.users.models import AuditEntry
from apps.users.services.tokens import TokenLimits
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import STAGED, JobKind
from poolsite.wire.pipeline import SnapState
from tests import factories, people
from tests.unit.apps.api.rpc.damocles_line import Line, named
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.sectors.adoptions import at_head
from tests.unit.apps.sectors.restore import DATA, Known

pytestmark = pytest.mark.django_db


@pytest.fixture
def line(client: Client) -> Line:
    return Line(client, people.token("sign", of="alice"))


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Known:
    """A chain that has none of the sectors."""
    made = Known()
    monkeypatch.setattr("apps.api.rpc.services.damocles.acts.sealing_context_read", lambda: at_head(made))
    return made


@pytest.fixture
def miner() -> Miner:
    return factories.miner(2001, of="alice", sector_size=2048, seal_proof=5)


def aborted(miner: Miner, **facts: Any) -> Sector:
    sector = factories.sector(miner, state="PC1_DONE", **facts)
    return sector_abort(sector, actor="ann", reason="disk lost", now=clock.now())


def words(line: Line, method: str, *params: Any) -> str:
    """What a refusal of code 1 says."""
    error = line.answer(method, *params)["error"]
    assert error["code"] == 1
    return str(error["message"])


def state_of(sector: Sector) -> str:
    return Sector.objects.get(pk=sector.pk).state


def test_an_aborted_sector_is_restored_where_the_chain_allows_it(
    line: Line, client: Client, chain: Known, miner: Miner
) -> None:
    sector = aborted(miner, pieces=DATA)
    assert "without the data" in words(line, "RestoreSector", named(sector), False)
    chain.used = {sector.number}
    assert "its number was used up" in words(line, "RestoreSector", named(sector), True)
    chain.used = set()
    for stranger in (
        Line(client, people.token("sign", of="bob")),
        Line(client, people.token("sign", of="alice", limits=TokenLimits(miners=(9,)))),
    ):
        assert "not a sector of this token" in words(stranger, "RestoreSector", named(sector), True)
    assert "missing permission" in words(
        Line(client, people.token("read", of="alice")), "RestoreSector", named(sector), True
    )
    assert state_of(sector) == "ABORTED"

    assert line.answer("RestoreSector", named(sector), True)["result"] is None

    assert state_of(sector) == "ALLOCATED"
    entry = AuditEntry.objects.get(action="sector.restore")
    assert entry.after is not None
    assert (entry.target, entry.after["reason"]) == (
        f"f02001 / {sector.number}",
        "through damocles' command line",
    )


def test_a_termination_is_polled_until_it_has_landed(line: Line, client: Client, miner: Miner) -> None:
    sector = factories.sector(miner, state="PROVING")
    nothing = {"TerminateCid": None, "TerminatedAt": 0, "AddedHeight": 0}
    assert line.call("PollTerminateSectorState", named(sector)) == nothing
    asked = {"kind": "TERMINATE", "queued_height": 100, "actor": "ann"}
    change = SectorChange.objects.create(sector=sector, state="TERMINATE_QUEUED", **asked)
    reader = Line(client, people.token("read", of="alice"))

    assert reader.call("PollTerminateSectorState", named(sector)) == nothing | {"AddedHeight": 100}
    assert line.call("TerminateSector", named(sector)) == {"Res": 2, "Desc": "duplicate submit"}
    assert "missing permission" in words(reader, "TerminateSector", named(sector))
    writer = Line(client, people.token("write", of="alice"))
    assert "missing permission" in words(writer, "TerminateSector", named(sector)), "it wants sign, as REST"

    batch = factories.batch(miner, "terminate", landed_height=120)
    sent = factories.message(id=batch.message_id, of="alice", cid=factories.cid("a"))
    SectorChange.objects.filter(pk=change.pk).update(state="TERMINATE_SENT", batch=batch)
    told = line.call("PollTerminateSectorState", named(sector))
    assert told == {"TerminateCid": {"/": sent.cid}, "TerminatedAt": 0, "AddedHeight": 100}
    SectorChange.objects.filter(pk=change.pk).update(state="TERMINATE_LANDED")
    assert line.call("PollTerminateSectorState", named(sector))["TerminatedAt"] == 120
    SectorChange.objects.filter(pk=change.pk).update(state="TERMINATE_FAILED")
    assert line.call("PollTerminateSectorState", named(sector)) == nothing, "it may be asked for again"
    stranger = Line(client, people.token("sign", of="bob"))
    assert "not a sector of this token" in words(stranger, "PollTerminateSectorState", named(sector))
    assert "not a sector of this token" in words(stranger, "TerminateSector", named(sector))


def test_files_of_what_is_being_sealed_are_not_removed(
    line: Line, client: Client, chain: Known, miner: Miner
) -> None:
    sector = factories.sector(miner, state="PC1_DONE")

    assert words(line, "RemoveSector", named(sector)) == "it is being sealed"
    writer = Line(client, people.token("write", of="alice"))
    assert "missing permission" in words(writer, "RemoveSector", named(sector)), "it wants sign, as REST"
    stranger = Line(client, people.token("sign", of="bob"))
    assert "not a sector of this token" in words(stranger, "RemoveSector", named(sector))


def audited(action: str) -> int:
    return AuditEntry.objects.filter(action=action).count()


def proven(miner: Miner, **facts: Any) -> Sector:
    """A sector that proves, on a host that may make it again."""
    factories.worker("host-a", stores=["store-1"], kinds=[str(kind) for kind in STAGED])
    made: dict[str, Any] = {"ticket": bytes(32), "comm_r": bytes([1]) * 32, "comm_d": sha254_zero(2048)}
    return factories.sector(miner, state="PROVING", active=True, store="store-1", **(made | facts))


def test_a_sector_is_set_for_rebuild_once(line: Line, client: Client, miner: Miner) -> None:
    sector = proven(miner)
    under_way = factories.sector(miner, state="PC1_DONE")
    options = {"PiecesAvailable": False}
    writer = Line(client, people.token("write", of="alice"))
    assert "missing permission" in words(writer, "SectorSetForRebuild", named(sector), options)
    assert "not proven yet" in words(line, "SectorSetForRebuild", named(under_way), options)

    assert line.call("SectorSetForRebuild", named(sector), options) is True

    run = PipelineRun.objects.get()
    assert (run.kind, run.sector_id, audited("sector.rebuild")) == ("rebuild", sector.pk, 1)
    assert "already" in words(line, "SectorSetForRebuild", named(sector), options)
    stranger = Line(client, people.token("sign", of="bob"))
    assert "not a sector of this token" in words(stranger, "SectorSetForRebuild", named(sector), options)


def test_a_snap_up_is_cancelled_until_its_message_is_sent(line: Line, client: Client, miner: Miner) -> None:
    sector = proven(miner)
    assert "snap-up" in words(line, "SnapUpCancelCommitment", named(sector))
    job = factories.proof_job(miner, worker=None, kind=JobKind.SNAP_UP, state="WAITING", lease_until=None)
    facts = {"kind": JobKind.SNAP_UP, "state_since": clock.now(), "actor": "ann", "job": job}
    run = PipelineRun.objects.create(sector=sector, state=SnapState.UPDATE_SENT, **facts)
    assert words(line, "SnapUpCancelCommitment", named(sector))
    PipelineRun.objects.filter(pk=run.pk).update(state=SnapState.SNAP_PROVED)
    stranger = Line(client, people.token("sign", of="bob"))
    assert "not a sector of this token" in words(stranger, "SnapUpCancelCommitment", named(sector))

    assert "result" not in line.answer("SnapUpCancelCommitment", named(sector))

    run.refresh_from_db()
    assert (run.state, audited("sector.snap-up-abort")) == (SnapState.SNAP_ABORTED, 1)


def test_a_proving_sector_is_finished_for_a_worker_that_never_said_so(
    line: Line, client: Client, miner: Miner
) -> None:
    worker = factories.worker("w1", kinds=[DAMOCLES])
    sector = factories.sector(miner, state="COMMIT_SENT", held_by=None)
    Job.objects.filter(sector=sector).update(sticky_worker=worker)
    told = DamoclesSector.objects.create(
        sector=sector, begun_at=clock.now(), reserved_store="cold", reserved_bytes=4096
    )
    assert "finalized once it is proving" in words(line, "FinalizeSector", named(sector))
    Sector.objects.filter(pk=sector.pk).update(state="PROVING", store="cold")

    for _ in range(2):
        assert "result" not in line.answer("FinalizeSector", named(sector))

    told.refresh_from_db()
    assert (told.finished_at is not None, told.reserved_store, audited("sector.finalize")) == (True, "", 1)
    worker_line = Line(client, people.token("write", of="alice", scopes=["sealer"]))
    assert worker_line.report({"ID": named(sector)}, "Finished")["Finalized"] is True
    own = factories.sector(miner, state="PROVING")
    assert "not sealed by a damocles-worker" in words(line, "FinalizeSector", named(own))


def test_a_workers_pings_are_forgotten_until_the_next(line: Line, client: Client) -> None:
    ping = {"Name": "w1", "Dest": "10.0.0.1:17890"}
    sealer = Line(client, people.token("write", of="alice", scopes=["sealer"]))
    sealer.call("WorkerPing", ping)
    stranger = Line(client, people.token("sign", of="bob"))
    assert "no worker w1" in words(stranger, "WorkerPingInfoRemove", "w1")
    limited = Line(client, people.token("sign", of="alice", limits=TokenLimits(miners=(9,))))
    assert "some miners" in words(limited, "WorkerPingInfoRemove", "w1")
    assert len(line.call("WorkerPingInfoList")) == 1

    assert "result" not in line.answer("WorkerPingInfoRemove", "w1")

    assert line.call("WorkerPingInfoList") == []
    assert line.call("WorkerGetPingInfo", "w1") is None
    assert (audited("worker.pings-forget"), Worker.objects.filter(name="w1").count()) == (1, 1)
    assert "no worker w1" in words(line, "WorkerPingInfoRemove", "w1")
    sealer.call("WorkerPing", ping)
    assert len(line.call("WorkerPingInfoList")) == 1


def test_one_partitions_proof_is_simulated(
    line: Line, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.head(962)
    of = factories.miner(2001, proving_period_start=960)
    row = factories.deadline(of, 1, live=2)
    for index in range(2):
        factories.partition(row, index=index, all_sectors=[1, 2], live=[1, 2], active=[1, 2])
    factories.worker("p", kinds=[JobKind.WINDOW_POST], stores=["store-1"])
    chain = OneDeadline()
    both = [chain._partition([1]), chain._partition([2])]
    chain.call_many = lambda calls: [both for _ in calls]  # type: ignore[method-assign]
    monkeypatch.setattr("apps.proving.tasks.chain_client", lambda: chain)
    asked = [1, 1, "f02001", 10, [], None]
    assert "missing permission" in words(
        Line(client, people.token("read", of="alice")), "SimulateWdPoSt", *asked
    )
    assert words(Line(client, people.token("sign", of="bob")), "SimulateWdPoSt", *asked)
    assert "no sector" in words(line, "SimulateWdPoSt", 1, 7, *asked[2:]), "there is no such partition"

    assert "result" not in line.answer("SimulateWdPoSt", *asked)

    run = CheckRun.objects.get()
    assert (run.kind, run.partitions, run.sectors) == ("DRY_RUN", [1], [2])
    assert audited("proving.dry_run") == 1
    assert "already running" in words(line, "SimulateWdPoSt", *asked)
