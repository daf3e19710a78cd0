"""damocles-workers as hosts: what they are given, by name and address; orders, pings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.core import clock
from apps.damocles.services import hosts
from apps.messages.services.recovery import detect
from apps.messages.services.recovery.detect import recovery_begin
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import DamoclesSector, Job, Sector, SectorNumbers, Worker, WorkerCommand
from apps.sectors.rules.params import pieces_column, pieces_filled
from apps.sectors.selectors.restored import hosts_unreported, sectors_recovery
from apps.sectors.services.hosts.commands import worker_command_enqueue
from apps.sectors.services.jobs.leases import leases_sweep
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.landings import damocles_follow
from apps.users.models import AuditEntry
from poolsite.wire.commands import Operation
from tests import factories, people
from tests.killed_writes import Killed, kill
from tests.page_client import signed_in, text_of
from tests.unit.apps.api.rpc.damocles_line import SPEC, Line, named
from tests.unit.apps.sectors.sealing import claim, host

pytestmark = pytest.mark.django_db

INFO: dict[str, Any] = {"Name": "w1", "Dest": "10.0.0.1:17890"}


def test_only_own_sectors_that_nobody_began_are_given(line: Line, miner: Miner) -> None:
    factories.sector(miner, held_by=factories.worker())
    factories.sector(factories.miner(2002, of="bob"))
    assert line.call("AllocateSector", SPEC) is None
    free = factories.sector(miner)

    assert line.call("AllocateSector", SPEC | {"AllowedMiners": [2002]}) is None
    assert line.call("AllocateSector", SPEC | {"AllowedProofTypes": [8]}) is None
    given = line.call("AllocateSectorsBatch", SPEC, 5)

    assert given == [{"ID": named(free), "ProofType": free.seal_proof}]
    assert line.call("AllocateSectorsBatch", SPEC, 1) == []
    assert line.code("AllocateSectorsBatch", SPEC, 0) == 1


def with_data(miner: Miner) -> Sector:
    """A sector that is packed with a piece of a client."""
    piece = factories.piece(miner, padded_size=miner.sector_size, payload_size=100)
    column = pieces_column(pieces_filled([piece], sector_size=miner.sector_size))
    sector = factories.sector(miner, pieces=column)
    Piece.objects.filter(pk=piece.pk).update(state="PACKED", sector_number=sector.number, offset=0)
    return sector


def test_a_worker_that_asks_for_no_pieces_loses_the_sector_and_gets_zeros(line: Line, miner: Miner) -> None:
    data = with_data(miner)
    given = line.call("AllocateSector", SPEC)
    assert given["ID"] == named(data)
    assert line.report(given, "Allocated")["Finalized"] is False
    assert line.report(given, "Allocated", "Temporary")["Finalized"] is False, "it asks again"

    told = line.report(given, "DealsAcquired")

    assert (told["Finalized"], "enable_deals" in told["AbortReason"]) == (True, True)
    data.refresh_from_db()
    job = Job.objects.get(sector=data)
    assert (data.state, job.state, job.sticky_worker, job.worker) == ("ALLOCATED", "READY", None, None)
    assert line.code("AssignTicket", named(data)) == 1, "it is nobody's: not the code on which others wipe"
    assert line.call("AllocateSector", SPEC) is None
    zeros = factories.sector(miner)
    again = line.call("AllocateSector", SPEC)
    assert again["ID"] == named(zeros)
    line.report(again, "Allocated")
    assert line.call("AcquireDeals", named(zeros), {}) is None
    assert line.call("AllocateSector", SPEC)["ID"] == named(data), "it asks for pieces now"
    [piece] = line.call("AcquireDeals", named(data), {"MaxDeals": 1, "MinUsedSpace": None})
    row = Piece.objects.get()
    assert (piece["Piece"]["PieceCID"], piece["DealInfo"]["AllocationID"]) == ({"/": row.piece_cid}, row.pk)
    assert line.report({"ID": named(data)}, "DealsAcquired")["Finalized"] is False


def test_a_worker_that_never_asked_gets_no_ticket_for_zeros(line: Line, miner: Miner) -> None:
    data = with_data(miner)
    given = line.call("AllocateSector", SPEC)
    line.report(given, "Allocated")

    assert line.code("AssignTicket", named(data)) == 11001, "its reports were lost: it wipes"
    data.refresh_from_db()
    assert (data.state, Job.objects.get(sector=data).state) == ("ALLOCATED", "READY")


def test_everybody_is_sent_on_for_a_piece_and_only_its_owner_gets_it(client: Client, miner: Miner) -> None:
    data = with_data(miner)
    cid = Piece.objects.get(sector_number=data.number).piece_cid

    for name in (cid, f"{cid}.car", factories.piece_cid(77)):
        sent = client.get(f"/piecestore/{name}")
        assert (sent.status_code, sent["Location"].startswith("/api/v1/pieces/")) == (302, True)
    assert client.get("/piecestore/nonsense").status_code == 400
    assert client.post(f"/piecestore/{cid}").status_code == 405
    kept = f"/api/v1/pieces/{cid}/kept"
    codes = {
        of: client.get(
            kept, headers=people.bearer(people.token("write", of=of, scopes=["sealer"]))
        ).status_code
        for of in ("alice", "bob")
    }
    assert codes == {"alice": 409, "bob": 404}, "its bytes are not kept here"
    assert client.get(kept).status_code == 401


def test_a_full_look_is_of_what_the_worker_may_have(line: Line, miner: Miner, monkeypatch: Any) -> None:
    monkeypatch.setattr("apps.sectors.selectors.claim_rules.CHOSEN_MAX", 1)
    factories.sector(miner, held_by=factories.worker())
    Job.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    factories.sector(miner, state="PC1_DONE")
    factories.proof_job(miner, worker=factories.worker(), state="READY")
    factories.sector(miner)
    urgent = factories.sector(miner)
    Job.objects.filter(sector=urgent).update(priority=5)

    assert line.call("AllocateSector", SPEC)["ID"] == named(urgent)
    assert line.call("AllocateSector", SPEC) is not None


def test_an_allocation_that_nobody_heard_is_given_again(line: Line, miner: Miner) -> None:
    sector = factories.sector(miner)
    given = line.call("AllocateSector", SPEC)
    assert line.call("AllocateSector", SPEC) is None

    Job.objects.update(lease_until=clock.now() - timedelta(seconds=1))

    assert line.call("AllocateSector", SPEC) == given
    assert line.call("AcquireDeals", given["ID"], {}) is None
    Job.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    assert line.call("AllocateSector", SPEC) is None, "its worker has begun"
    assert DamoclesSector.objects.get().sector == sector


def test_a_sector_that_was_given_and_never_named_goes_to_any_host(line: Line, miner: Miner) -> None:
    sector = factories.sector(miner)
    line.call("AllocateSector", SPEC)  # nobody heard the answer
    later = clock.now() + timedelta(seconds=91)
    line.call("WorkerPing", INFO)
    Job.objects.update(lease_until=clock.now() - timedelta(seconds=1))

    assert line.call("AllocateSector", SPEC) is not None, "the same worker by its name"
    line.call("WorkerPing", INFO)
    assert Worker.objects.count() == 1, "the nameless row is gone"
    leases_sweep(now=later)
    own = host(at=later)
    assert [job.seal.number for job in claim(own, at=later) if job.seal] == [sector.number]

    assert line.code("AcquireDeals", named(sector), {}) == 1, "the pool's own host has it now"
    assert line.code("PollPreCommitState", named(sector)) == 1
    Sector.objects.filter(pk=sector.pk).update(state="COMMIT_LANDED", store="store")
    assert damocles_follow(SectorsInProgress.read(), now=clock.now()) == 0, "its own host finalizes it"


def test_a_sector_that_is_named_late_is_bound_then(line: Line, miner: Miner) -> None:
    sector = factories.sector(miner)
    line.call("AllocateSector", SPEC)
    leases_sweep(now=clock.now() + timedelta(seconds=91))

    line.call("AcquireDeals", named(sector), {})
    job = Job.objects.get()
    assert job.state == "LEASED"
    assert job.worker == job.sticky_worker == Worker.objects.get()
    assert line.call("AllocateSector", SPEC) is None

    line.report({"ID": named(sector)}, "Allocated")
    assert Job.objects.filter(worker__name="w1", sticky_worker__name="w1").exists()


def test_a_sector_that_was_given_to_another_since_is_sealed_once(line: Line, miner: Miner) -> None:
    sector = factories.sector(miner)
    given = line.call("AllocateSector", SPEC)  # the answer takes its time
    leases_sweep(now=clock.now() + timedelta(seconds=91))
    other = Line(line.client, line.token, address="10.0.0.2")
    assert other.call("AllocateSector", SPEC) == given

    asked: list[tuple[str, list[dict[str, Any]]]] = [("AcquireDeals", [{}]), ("AssignTicket", [])]
    for method, more in asked:
        refused = line.answer(method, named(sector), *more)["error"]["message"]
        assert "has since been given to damocles-worker at 10.0.0.2: its files are kept" in refused
    told = {"Instance": "w1", "Location": "/mnt/a"}
    change = {"Prev": "Empty", "Next": "Allocated", "Event": "X"}
    stopped = {"Worker": told, "StateChange": change, "Failure": {"Level": "Permanent", "Desc": "refused"}}
    assert line.code("ReportState", given["ID"], stopped) == 1
    assert Job.objects.get().worker == Worker.objects.get(host="10.0.0.2")

    other.call("AcquireDeals", named(sector), {})
    other.report(given, "DealsAcquired", instance="w2")
    assert Job.objects.get().sticky_worker == Worker.objects.get(name="w2")
    sector.refresh_from_db()
    assert (sector.state, sector.paused_at) == ("ALLOCATED", None)
    assert line.code("AcquireDeals", named(sector), {}) == 1


def pinged(line: Line, *, busy: int) -> None:
    line.call("WorkerPing", INFO | {"Summary": {"Threads": 4, "Empty": 4 - busy, "Errors": 0}})


def test_a_ping_prolongs_as_many_leases_as_threads_are_at_work(line: Line, miner: Miner) -> None:
    sectors = [factories.sector(miner) for _ in range(3)]
    for sector in sectors:
        line.call("AllocateSector", SPEC)
        line.report({"ID": named(sector)}, "Allocated")
    line.report({"ID": named(sectors[0])}, "PieceAdded")
    soon = clock.now() + timedelta(seconds=5)

    def renewed(busy: int) -> list[int]:
        Job.objects.update(lease_until=soon)
        pinged(line, busy=busy)
        kept = Sector.objects.filter(job__lease_until__gt=soon)
        return sorted(kept.values_list("number", flat=True))

    assert renewed(0) == []
    assert renewed(1) == [sectors[0].number], "the one that it named last"
    assert renewed(2) == sorted([sectors[0].number, sectors[2].number])
    assert len(renewed(4)) == 3


def test_two_processes_of_one_name_are_told_apart_and_named(line: Line, miner: Miner) -> None:
    people.person("ann")

    def ping(dest: str, busy: int) -> str:
        summary = {"Threads": 4, "Empty": 4 - busy, "Errors": 0}
        line.call("WorkerPing", INFO | {"Dest": dest, "Summary": summary})
        return str(Worker.objects.get(name="w1").last_error)

    sectors = [factories.sector(miner) for _ in range(3)]
    for sector in sectors:
        line.call("AllocateSector", SPEC)
        line.report({"ID": named(sector)}, "Allocated")
    assert ping("10.0.0.1:17890", 1) == ""
    assert ping("10.0.0.1:17891", 2) == "", "it may have been started again"
    assert ping("10.0.0.1:17891", 2) == ""
    Job.objects.update(lease_until=clock.now() + timedelta(seconds=5))
    error = ping("10.0.0.1:17890", 1)

    assert error.startswith("2 damocles-workers ping as w1, from 127.0.0.1 10.0.0.1:17890 and from")
    assert "set a unique worker.name in each one's file" in error
    soon = clock.now() + timedelta(seconds=6)
    assert Job.objects.filter(lease_until__gt=soon).count() == 3, "those of both are at work"
    assert "ping as w1" in text_of(signed_in().get(reverse("hosts")))
    for worker in Worker.objects.filter(name="w1"):  # the one is given another name
        old = {place: one | {"at": one["at"] - 120} for place, one in worker.hardware["pings"].items()}
        Worker.objects.filter(pk=worker.pk).update(hardware=worker.hardware | {"pings": old})
    assert ping("10.0.0.1:17891", 2) == ""


def test_after_a_restore_nothing_is_given_before_all_is_known(line: Line, miner: Miner) -> None:
    held, lost = factories.sector(miner), factories.sector(miner)
    line.call("WorkerPing", INFO)
    line.call("AllocateSector", SPEC)
    line.report({"ID": named(held)}, "Allocated")
    recovery_begin("restored", now=clock.now())
    SectorNumbers.objects.update_or_create(miner=miner, defaults={"read_back_at": clock.now()})
    recovery = sectors_recovery()
    assert recovery is not None

    assert line.call("AllocateSector", SPEC) is None
    assert [row.name for row in hosts_unreported(recovery)] == ["w1"]
    pinged(line, busy=2)
    assert line.call("AllocateSector", SPEC) is None
    line.report({"ID": named(held)}, "PieceAdded")
    pinged(line, busy=2)
    assert line.call("AllocateSector", SPEC) is None, "one thread has not named its sector since"

    line.report({"ID": named(lost)}, "PieceAdded")  # it was given out after the backup
    pinged(line, busy=2)
    assert not hosts_unreported(recovery).exists()
    assert Job.objects.get(sector=lost).sticky_worker == Worker.objects.get(name="w1")
    free = factories.sector(miner)
    assert line.call("AllocateSector", SPEC)["ID"] == named(free)


def test_after_a_restore_a_thread_that_only_polls_is_known(line: Line, miner: Miner) -> None:
    sector = factories.sector(miner)  # given out after the backup; its worker is past its last report
    line.call("WorkerPing", INFO)
    assert line.code("PollPreCommitState", named(sector)) == 1, "nobody was given it"
    recovery_begin("restored", now=clock.now())
    recovery = sectors_recovery()
    assert recovery is not None
    pinged(line, busy=1)
    assert hosts_unreported(recovery).exists()

    for _ in range(2):
        assert line.call("PollPreCommitState", named(sector))["Desc"] == "no pre-commit was submitted"

    assert DamoclesSector.objects.get().begun_at is not None
    line.report({"ID": named(sector)}, "PC2Done")
    pinged(line, busy=1)
    assert not hosts_unreported(recovery).exists()


def test_a_restore_that_a_claim_notices_gives_nothing(
    line: Line, miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.sector(miner)
    line.call("WorkerPing", INFO)
    monkeypatch.setattr(detect, "_difference", lambda *_: "another cluster")

    assert line.call("AllocateSector", SPEC) is None
    assert Job.objects.get().lease_token == 0


def test_a_kill_leaves_no_worker_without_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = people.principal()
    with monkeypatch.context() as patch:
        patch.setattr(hosts, "worker_audit", kill)
        with pytest.raises(Killed):
            hosts.damocles_host_register(asking, name="w1", now=clock.now())

    hosts.damocles_host_register(asking, name="w1", now=clock.now())

    assert AuditEntry.objects.get().action == "worker.register"


def test_a_host_is_known_by_its_name_and_keeps_its_sectors(line: Line, miner: Miner) -> None:
    factories.sector(miner)
    given = line.call("AllocateSector", SPEC)
    assert Job.objects.filter(worker__name="damocles-worker at 127.0.0.1").exists()

    line.report(given, "Allocated", instance="w1")
    assert Job.objects.filter(worker__name="w1", sticky_worker__name="w1").exists()
    line.report(given, "PieceAdded", instance="w2")

    assert Job.objects.filter(worker__name="w2", sticky_worker__name="w2").exists()
    moved = Job.objects.get().events.get(event="HOST_CHANGED")
    assert (moved.is_error, moved.note) == (True, "previously on w1, in /mnt/a")


def test_a_host_that_is_drained_gets_nothing_new_and_lives_by_its_pings(line: Line, miner: Miner) -> None:
    assert line.call("AllocateSector", SPEC) is None
    assert Worker.objects.get().name == "damocles-worker at 127.0.0.1"
    factories.sector(miner)
    info = {
        "Name": "w1",
        "Dest": "10.0.0.1:17890",
        "Version": "v0.13.1",
        "Summary": {"Threads": 2, "Errors": 1},
    }
    assert line.call("WorkerPing", info) is None
    host = Worker.objects.get()
    assert host.name == "w1", "the nameless one is gone"
    assert host.last_error == "1 of 2 threads have an error"

    worker_command_enqueue(host, op=Operation.DRAIN, args={}, actor="ann")
    line.call("WorkerPing", info)
    assert line.call("AllocateSector", SPEC) is None
    worker_command_enqueue(host, op=Operation.RESUME, args={}, actor="ann")
    worker_command_enqueue(host, op=Operation.MEASURE, args={}, actor="ann")
    line.call("WorkerPing", info)
    assert line.call("AllocateSector", SPEC) is not None
    assert WorkerCommand.objects.filter(done_at=None).count() == 0
    assert WorkerCommand.objects.get(op="measure").error == "damocles-workers do not support this command"

    line.report({"ID": named(Sector.objects.get())}, "Allocated")
    Job.objects.update(lease_until=clock.now() + timedelta(seconds=5))
    line.call("WorkerPing", info)
    assert Job.objects.filter(lease_until__gt=clock.now() + timedelta(seconds=60)).exists()
    assert line.code("WorkerPing", info | {"Name": ""}) != 0
    assert "worker dest is required" in line.answer("WorkerPing", info | {"Dest": ""})["error"]["message"]


@pytest.mark.parametrize(
    "how", [{"retired_at": clock.now()}, {"retire_asked_at": clock.now()}, {"is_paused": True}]
)
def test_a_host_long_unheard_that_takes_nothing_still_gets_nothing(
    line: Line, miner: Miner, how: dict[str, Any]
) -> None:
    factories.sector(miner)
    line.call("WorkerPing", INFO)
    Worker.objects.update(**how, seen_at=clock.now() - timedelta(days=2))

    assert line.call("AllocateSector", SPEC) is None
    assert Worker.objects.count() == 1, "no nameless row takes its place"

    line.call("WorkerPing", INFO | {"Name": "w2"})
    assert line.call("AllocateSector", SPEC) is not None
    assert Job.objects.get().worker == Worker.objects.get(name="w2")


def test_a_ping_waits_for_no_report_of_its_worker(line: Line, miner: Miner) -> None:
    line.call("WorkerPing", INFO)
    row = Worker.objects.get()

    with CaptureQueriesContext(connection) as seen:
        line.call("WorkerPing", INFO)

    locks = [one["sql"] for one in seen if " FOR " in one["sql"] and '"sectors_worker"' in one["sql"]]
    assert [sql.endswith("FOR NO KEY UPDATE") for sql in locks] == [True], "an event's key share goes beside"
    assert Worker.objects.get() == row


def test_a_worker_stands_among_the_hosts_with_its_sectors(line: Line, miner: Miner) -> None:
    sector = factories.sector(miner)
    line.report(line.call("AllocateSector", SPEC), "PieceAdded")
    people.person("ann", of="alice")
    browser, host = signed_in("ann"), Worker.objects.get(name="w1")

    assert "w1" in text_of(browser.get(reverse("hosts")))
    shown = text_of(browser.get(reverse("host", args=[host.uuid])))
    assert "w1" in shown
    assert str(sector.number) in shown
    assert "w1" in text_of(browser.get(reverse("sector", args=[sector.uuid])))
