"""damocles-manager's methods without a chain: who reaches what, refusals, failures, orders to hosts."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.chain.models import Head
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.miners.models import Miner
from apps.sectors.models import DamoclesSector, Job, JobEvent, Sector, WorkerCommand
from apps.sectors.services.jobs.leases import leases_sweep
from apps.sectors.services.sealing.steps import sector_abort, sector_retry, sector_stop
from apps.users.models import AuditEntry
from apps.users.services.tokens import TokenLimits
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import NEXT_STAGE, Owner
from tests import factories, people
from tests.unit.apps.api.rpc.damocles_line import SPEC, Line, named, precommit, ticketed

pytestmark = pytest.mark.django_db


def test_a_token_reaches_its_tenants_and_its_miners_sectors_alone(client: Client, miner: Miner) -> None:
    mine = factories.sector(miner)
    stranger = Line(client, people.token("write", of="bob", scopes=["sealer"]))
    limited = Line(
        client, people.token("write", of="alice", scopes=["sealer"], limits=TokenLimits(miners=(2999,)))
    )
    owner = Line(client, people.token("write", of="alice", scopes=["sealer"]))
    reader = Line(client, people.token("read", of="alice"))
    prover = Line(client, people.token("write", of="alice", scopes=["prover"]))

    assert limited.call("AllocateSector", SPEC) is None
    assert stranger.call("AllocateSector", SPEC) is None
    assert owner.call("AllocateSector", SPEC)["ID"] == named(mine)
    for other in (stranger, limited):
        calls: list[tuple[str, list[Any]]] = [("AcquireDeals", [{}]), ("PollPreCommitState", [])]
        for method, more in [*calls, ("ReportFinalized", [])]:
            assert other.code(method, named(mine), *more) == 1, "on 11001 a worker with a wrong token wipes"
        assert other.code("GetInfo", 2001) == 1
    for refused in (reader, prover):
        assert "missing permission" in refused.answer("AllocateSector", SPEC)["error"]["message"]


def test_a_worker_keeps_its_files_of_a_sector_that_is_not_known(line: Line, miner: Miner) -> None:
    unknown = {"Miner": 2001, "Number": 12345}
    known_elsewhere = named(factories.sector(factories.miner(2002, of="bob"), state="ABORTED"))

    for sector in (unknown, known_elsewhere):
        for method in ("AssignTicket", "PollPreCommitState", "PollProofState", "ReportFinalized"):
            assert line.code(method, sector) == 1, "on 11001 it wipes what a backup lacks or another pool has"


def test_another_hosts_sector_is_refused_and_nothing_of_it_changes(line: Line, miner: Miner) -> None:
    sector = factories.sector(miner, held_by=factories.worker("sealer-1"))

    assert line.code("AssignTicket", named(sector)) == 1
    assert line.code("ReportAborted", named(sector), "mine") == 1
    for method in ("PollPreCommitState", "PollProofState"):
        assert line.code(method, named(sector)) == 1
    sector.refresh_from_db()
    assert sector.state == "ALLOCATED"


def test_methods_that_are_not_served_say_so(line: Line) -> None:
    assert line.code("AllocateSnapUpSector") == -32601, "damocles spells it otherwise"


def test_submitted_commitments_are_compared(line: Line, miner: Miner) -> None:
    sector = ticketed(line, miner)
    other_d = precommit(sector)
    other_d[1]["CommD"] = [1] * 32

    assert line.call("SubmitPreCommit", *other_d)["Res"] == 3
    assert line.call("SubmitPreCommit", *precommit(sector, ticket=bytes(32)))["Res"] == 3, (
        "it keeps its files"
    )
    assert line.call("PollPreCommitState", named(sector))["State"] == 4
    assert line.call("SubmitPreCommit", *precommit(sector)) == {"Res": 1, "Desc": None}
    assert line.call("SubmitPreCommit", *precommit(sector))["Res"] == 1
    assert line.call("SubmitPreCommit", *precommit(sector, comm_r=bytes(32)))["Res"] == 3
    assert line.call("PollPreCommitState", named(sector)) == {"State": 1, "Desc": None}
    sector.refresh_from_db()
    assert (sector.state, bytes(sector.comm_r or b"")) == ("PERSISTED", bytes([9]) * 32)

    again = precommit(sector, comm_r=bytes([8]) * 32)
    again[2] = True
    sector_stop(sector, actor="ann", now=clock.now())
    assert line.code("SubmitPreCommit", *again) == 1
    sector_retry(sector, actor="ann", now=clock.now())
    assert line.call("SubmitPreCommit", *again)["Res"] == 1
    sector.refresh_from_db()
    assert (sector.state, bytes(sector.comm_r or b"")) == ("PERSISTED", bytes([8]) * 32)


@pytest.mark.parametrize("back_to", ["PC2_DONE", "ALLOCATED"])
def test_a_sector_that_went_back_is_submitted_again(line: Line, miner: Miner, back_to: str) -> None:
    sector = ticketed(line, miner)
    line.call("SubmitPreCommit", *precommit(sector))
    sector_stop(sector, actor="ann", now=clock.now())
    sector_retry(sector, actor="ann", now=clock.now(), state=back_to)

    assert line.call("PollPreCommitState", named(sector))["State"] == 5, (
        "on 7 its worker would wipe the files"
    )

    again = precommit(sector)
    again[2] = True
    if back_to == "ALLOCATED":  # up to its ticket, which the console has to draw first
        message = line.answer("SubmitPreCommit", *again)["error"]["message"]
        assert "TREE_D_BUILT: waiting for the console's step" in message
        sector.refresh_from_db()
        assert sector.state == "ALLOCATED"
    else:
        assert line.call("SubmitPreCommit", *again)["Res"] == 1
        assert line.call("PollPreCommitState", named(sector))["State"] == 1


def test_a_proof_that_went_back_is_submitted_again(line: Line, miner: Miner) -> None:
    sector = ticketed(line, miner)
    line.call("SubmitPreCommit", *precommit(sector))
    factories.store(factories.worker(kinds=[JobKind.WINDOW_POST]), "store")
    columns = {"state": "SEED_ASSIGNED", "seed": bytes(32), "seed_epoch": 990, "store": "store"}
    Sector.objects.filter(pk=sector.pk).update(**columns)
    Job.objects.update(state="READY", stage="C1")
    DamoclesSector.objects.update(files_checked_at=clock.now())
    line.call("WaitSeed", named(sector), 5)
    proof = {"Proof": b64encode(b"proof").decode()}
    line.call("SubmitProof", named(sector), proof, False)
    sector_stop(sector, actor="ann", now=clock.now())
    sector_retry(sector, actor="ann", now=clock.now(), state="C1_DONE")

    assert line.call("PollProofState", named(sector))["State"] == 5

    assert line.call("SubmitProof", named(sector), proof, True)["Res"] == 1
    assert line.call("PollProofState", named(sector))["State"] == 1
    Sector.objects.filter(pk=sector.pk).update(state="SEED_ASSIGNED", seed_epoch=991)
    assert line.call("PollProofState", named(sector))["State"] == 6


def test_only_a_ticket_that_no_chain_takes_any_more_is_rejected(line: Line, miner: Miner) -> None:
    sector = ticketed(line, miner)
    life = network_current().max_precommit_randomness_lookback
    other = precommit(sector, ticket=bytes(32))  # of epoch 100

    Head.objects.update(height=99 + life)
    assert line.call("SubmitPreCommit", *other)["Res"] == 3
    Head.objects.update(height=100 + life)
    assert line.call("SubmitPreCommit", *other)["Res"] == 4


def test_a_proof_waits_for_its_files_and_is_compared(line: Line, miner: Miner) -> None:
    sector = ticketed(line, miner)
    line.call("SubmitPreCommit", *precommit(sector))
    proof = {"Proof": b64encode(b"proof").decode()}
    assert line.call("SubmitProof", named(sector), proof, False)["Res"] == 3
    assert line.call("PollProofState", named(sector))["State"] == 4
    Sector.objects.filter(pk=sector.pk).update(state="SEED_ASSIGNED", seed=bytes(32), seed_epoch=990)
    Job.objects.update(state="READY", stage="C1")
    assert line.call("WaitSeed", named(sector), 5)["Seed"]["Epoch"] == 990

    assert line.code("SubmitProof", named(sector), proof, False) == 1, "its files are nowhere"
    assert line.call("SubmitPersistedEx", named(sector), "store", False) is False, "no such store"
    prover = factories.worker(kinds=[JobKind.WINDOW_POST])
    factories.store(prover, "store")
    assert line.call("StoreBasicInfo", "store")["Name"] == "store"
    assert line.call("StoreBasicInfo", "nowhere") is None
    assert line.call("StoreReserveSpace", named(sector), 1 << 50, ["store"]) is None
    assert line.call("StoreReserveSpace", named(sector), 4096, ["other"]) is None
    assert line.call("StoreReserveSpace", named(sector), 4096, ["store"])["Path"] == "/mnt/store"
    assert line.call("SubmitPersisted", named(sector), "store") is True
    DamoclesSector.objects.update(files_checked_at=clock.now())  # test_damocles_files has it looked at
    Sector.objects.filter(pk=sector.pk).update(seed=bytes([1]) * 32, seed_epoch=991)
    assert "has changed" in line.call("SubmitProof", named(sector), proof, False)["Desc"]
    line.call("WaitSeed", named(sector), 5)
    assert line.call("SubmitProof", named(sector), proof, False)["Res"] == 1
    assert line.call("SubmitProof", named(sector), proof, False)["Res"] == 1
    other = {"Proof": b64encode(b"other").decode()}
    assert line.call("SubmitProof", named(sector), other, False)["Res"] == 3
    assert line.call("SubmitProof", named(sector), other, True)["Res"] == 1
    assert line.call("PollProofState", named(sector))["State"] == 1


def test_a_sector_that_was_aborted_here_is_wiped_there(line: Line, miner: Miner) -> None:
    sector = factories.sector(miner)
    given = line.call("AllocateSector", SPEC)
    assert line.report(given, "PieceAdded")["Finalized"] is False

    sector_abort(sector, actor="ann", reason="not wanted", now=clock.now())

    said = line.report(given, "PieceAdded")
    assert (said["Finalized"], said["AbortReason"]) == (True, "the sector is aborted")
    assert line.code("AssignTicket", given["ID"]) == 11001
    assert line.call("PollPreCommitState", given["ID"])["State"] == 7
    assert line.call("ReportAborted", given["ID"], "told so") is None
    assert not WorkerCommand.objects.exists(), "it takes no orders"


def test_a_worker_gives_a_sector_up(line: Line, miner: Miner) -> None:
    sector = factories.sector(miner)
    given = line.call("AllocateSector", SPEC)
    line.report(given, "PieceAdded")

    for _ in range(2):
        assert line.call("ReportAborted", given["ID"], "disk lost") is None

    sector.refresh_from_db()
    assert sector.state == "ABORTED"
    lines = list(AuditEntry.objects.values_list("action", flat=True))
    assert sorted(lines) == ["sector.abort", "worker.register", "worker.register"]
    assert line.call("AllocateSector", SPEC) is None, "its number is not used again"


@pytest.mark.parametrize("state", ["PC2_DONE", "COMMIT_LANDED"])
def test_a_worker_that_lost_its_sector_cannot_give_it_up(line: Line, miner: Miner, state: str) -> None:
    sector = factories.sector(miner)
    given = line.call("AllocateSector", SPEC)
    leases_sweep(now=clock.now() + timedelta(seconds=91))
    other = Line(line.client, line.token, address="10.0.0.2")
    assert other.call("AllocateSector", SPEC) == given
    other.report(given, "TreeDBuilt", instance="w2")
    Sector.objects.filter(pk=sector.pk).update(state=state, ticket=bytes(32), ticket_epoch=1)
    Job.objects.filter(sector=sector).update(state="WAITING", worker=None)

    assert line.call("ReportAborted", given["ID"], "aborted by hand") is None

    sector.refresh_from_db()
    assert sector.state == state
    assert other.report(given, "TreeDBuilt", instance="w2")["Finalized"] is False
    assert JobEvent.objects.filter(event="REPORT_IGNORED", note__contains="127.0.0.1").exists()

    other.call("ReportAborted", given["ID"], "aborted by hand")
    sector.refresh_from_db()
    assert sector.state == {"PC2_DONE": "ABORTED", "COMMIT_LANDED": "PROVING"}[state]


def test_a_thread_that_stops_pauses_its_sector_until_it_goes_on(line: Line, miner: Miner) -> None:
    sector = factories.sector(miner)
    given = line.call("AllocateSector", SPEC)
    line.report(given, "PieceAdded", "Temporary")
    sector.refresh_from_db()
    assert (sector.paused_at, sector.error) == (None, "PieceAdded: disk gone")

    line.report(given, "PieceAdded", "Permanent")
    sector.refresh_from_db()
    assert sector.paused_at is not None
    assert sector.error_level == "permanent"

    line.report(given, "TreeDBuilt")
    sector.refresh_from_db()
    assert Sector.objects.filter(paused_at=None, error="", state="TREE_D_BUILT").exists()


@pytest.mark.parametrize("state", ["PERSISTED", "PRECOMMIT_SENT", "C2_DONE", "COMMIT_SENT", "COMMIT_LANDED"])
def test_a_worker_that_stops_where_the_chain_is_next_pauses_nothing(
    line: Line, miner: Miner, state: str
) -> None:
    sector = factories.sector(miner)
    given = line.call("AllocateSector", SPEC)
    line.report(given, "PieceAdded")
    step = NEXT_STAGE[state]
    Sector.objects.filter(pk=sector.pk).update(state=state)
    Job.objects.update(state="READY" if step.owner is Owner.WORKER else "WAITING", stage=step.stage)

    line.report(given, "PCSubmitted", "Critical")  # as on SIGTERM; afterwards it only polls

    sector.refresh_from_db()
    assert (sector.paused_at, sector.error) == (None, "")
    assert Job.objects.get().events.filter(event="FAIL", note="PCSubmitted: disk gone").exists()


def test_a_thread_that_asks_for_what_comes_next_has_gone_on(line: Line, miner: Miner) -> None:
    sector = ticketed(line, miner)
    factories.store(factories.worker(kinds=[JobKind.WINDOW_POST]), "store")
    line.call("SubmitPreCommit", *precommit(sector))
    Sector.objects.filter(pk=sector.pk).update(state="SEED_ASSIGNED", seed=bytes(32), seed_epoch=990)
    Job.objects.update(state="READY", stage="C1")
    calls: list[tuple[str, list[Any]]] = [
        ("StoreReserveSpace", [4096, ["store"]]),
        ("SubmitPersisted", ["store"]),
        ("WaitSeed", [5]),
        ("AssignTicket", []),
    ]
    for method, more in calls:
        line.report({"ID": named(sector)}, "PCLanded", "Permanent")
        assert Sector.objects.exclude(paused_at=None).count() == 1
        line.call(method, named(sector), *more)
        assert Sector.objects.filter(paused_at=None, error="").count() == 1, method
    line.report({"ID": named(sector)}, "PCLanded", "Permanent")
    sector_retry(sector, actor="ann", now=clock.now())
    sector_stop(sector, actor="ann", now=clock.now())
    line.call("WaitSeed", named(sector), 5)
    assert Sector.objects.exclude(paused_at=None).count() == 1, "a person's pause stays"


def test_a_person_who_paused_a_sector_goes_before_its_worker(line: Line, miner: Miner) -> None:
    sector = factories.sector(miner)
    given = line.call("AllocateSector", SPEC)
    sector_stop(sector, actor="ann", now=clock.now())

    line.report(given, "PieceAdded")

    sector.refresh_from_db()
    assert (sector.state, sector.paused_at is None) == ("ALLOCATED", False)


def test_a_seed_is_asked_for_with_and_without_the_proof_type(line: Line, miner: Miner) -> None:
    sector = ticketed(line, miner)
    Sector.objects.filter(pk=sector.pk).update(state="SEED_ASSIGNED", seed=bytes(32), seed_epoch=990)
    Job.objects.update(stage="C1")

    for more in ([], [5]):
        assert line.call("WaitSeed", named(sector), *more)["Seed"]["Epoch"] == 990
    for wrong in ([], [named(sector), 5, 5]):
        assert line.code("WaitSeed", *wrong) == -32602


def test_a_landed_sector_proves_though_its_worker_is_away(line: Line, miner: Miner) -> None:
    from apps.sectors.services.sealing.console_steps import SectorsInProgress
    from apps.sectors.services.sealing.landings import damocles_follow

    sector = ticketed(line, miner)
    factories.sector(miner, state="COMMIT_LANDED", store="store")  # of the pool's own host
    Sector.objects.filter(pk=sector.pk).update(state="COMMIT_LANDED")
    Job.objects.filter(sector=sector).update(stage="FINALIZE")
    assert damocles_follow(SectorsInProgress.read(), now=clock.now()) == 0, "its files are in no store"

    Sector.objects.filter(pk=sector.pk).update(store="store")
    assert damocles_follow(SectorsInProgress.read(), now=clock.now()) == 1

    sector.refresh_from_db()
    assert sector.state == "PROVING"
    assert line.call("PollProofState", named(sector))["State"] == 3, "its worker comes back"
    assert line.report({"ID": named(sector)}, "ProofSubmitted", "Critical")["Finalized"] is False
    assert line.call("ReportFinalized", named(sector)) is None
    assert line.report({"ID": named(sector)}, "Finished")["Finalized"] is True
    sector.refresh_from_db()
    assert (sector.state, sector.paused_at, sector.error) == ("PROVING", None, "")


def test_a_sector_that_was_finished_early_proves_when_its_commit_lands(line: Line, miner: Miner) -> None:
    from apps.sectors.services.sealing.console_steps import SectorsInProgress
    from apps.sectors.services.sealing.landings import damocles_follow

    sector = ticketed(line, miner)
    line.call("SubmitPreCommit", *precommit(sector))
    assert line.code("ReportFinalized", named(sector)) == 1, "its proof was not submitted"
    Sector.objects.filter(pk=sector.pk).update(state="COMMIT_SENT")
    assert line.call("ReportFinalized", named(sector)) is None
    assert line.call("PollProofState", named(sector))["State"] == 2
    Sector.objects.filter(pk=sector.pk).update(state="COMMIT_LANDED", store="store")

    assert damocles_follow(SectorsInProgress.read(), now=clock.now()) == 1

    sector.refresh_from_db()
    assert sector.state == "PROVING"
    assert line.call("ReportFinalized", named(sector)) is None


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("AllocateSector", [{"AllowedMiners": "x"}]),
        ("AssignTicket", [{"Miner": -1, "Number": 0}]),
        ("AssignTicket", [{"Miner": 2001}]),
        ("AssignTicket", [None]),
        ("SubmitPreCommit", [{"ID": {"Miner": 1, "Number": 1}, "ProofType": 5}, {"CommR": [1]}, False]),
        ("SubmitProof", [{"Miner": 1, "Number": 1}, {"Proof": "*"}, False]),
        ("ReportState", [{"Miner": 1, "Number": 1}, {"Worker": None}]),
        ("StoreReserveSpace", [{"Miner": 1, "Number": 1}, 5, [1]]),
    ],
)
def test_parameters_that_cannot_be_read_are_refused(line: Line, method: str, params: list[Any]) -> None:
    assert line.code(method, *params) == -32700


def test_a_miner_is_shown(line: Line, miner: Miner) -> None:
    assert line.call("GetInfo", 2001) == {
        "ID": 2001,
        "Addr": miner.address,
        "SectorSize": miner.sector_size,
        "WindowPoStProofType": 10,
        "SealProofType": miner.seal_proof,
    }
