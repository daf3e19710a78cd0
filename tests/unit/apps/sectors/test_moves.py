"""Sectors move between stores: the row changes once the host has verified, the old copy goes after proofs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from apps.core.reasons import code_of
from apps.miners.errors import TransferRefused
from apps.sectors.errors.runs import RunUnderWay
from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import Job, PipelineRun, Sector, Store, StoreMove, Worker, WorkerCommand
from apps.sectors.models import Sector as SectorRow
from apps.sectors.reasons import ROOM_PROMISED
from apps.sectors.selectors.moves import Removal, removals_awaited
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.hosts.retirement import worker_retire
from apps.sectors.services.runs.rebuild import rebuild_begin, rebuild_plan
from apps.sectors.services.stores.move_steps import ROOM_WAIT
from apps.sectors.services.stores.moves import moves_begin, moves_cancel
from apps.sectors.services.stores.orders import store_detach
from apps.sectors.services.transfer import unfinished_check
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import Heartbeat
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import RebuildState
from poolsite.wire.stores import AttachedStore, StoreCondition
from tests import factories
from tests.people import principal, tenant
from tests.unit.apps.sectors.moves import told
from tests.unit.apps.sectors.sealing import NOON, host
from workers.storage.promises import Promise, Room, room_fault

pytestmark = pytest.mark.django_db

UNTIL = " until that host is back"
BOTH = (JobKind.SEAL, JobKind.WINDOW_POST)


def beat(
    worker: Worker, *, at: Any = NOON, error: str = "", stores: Sequence[AttachedStore] = ()
) -> list[tuple[str, str]]:
    """The host has done what it was told last; returns what it is told now."""
    open_ones = list(worker.commands.filter(done_at=None))
    done = tuple(str(one.uuid) for one in open_ones)
    heartbeat = Heartbeat(
        boot_id=worker.boot_id,
        attached=tuple(stores or (told("a"), told("b"))),
        done_commands=done,
        command_errors=dict.fromkeys(done, error) if error else {},
    )
    answer = worker_heartbeat(worker, heartbeat=heartbeat, now=at)
    worker.refresh_from_db()
    return [(str(one.op), one.args["number"]) for one in answer.commands]


@pytest.fixture
def worker() -> Worker:
    """A host with the stores a and b."""
    made = host(kinds=BOTH)
    beat(made)
    return made


def sector(number: int = 7, **data: Any) -> SectorRow:
    facts: dict[str, Any] = {"state": "PROVING", "store": "a", "comm_r": bytes(range(32)), "number": number}
    return factories.sector(factories.miner(1000), **(facts | data))


def stores() -> tuple[Store, Store]:
    return Store.objects.get(name="a"), Store.objects.get(name="b")


def begin(numbers: Any = 1) -> list[StoreMove]:
    source, target = stores()
    return moves_begin(source, target=target, numbers=numbers, now=NOON, by=principal())


def test_a_move_goes_through_copy_switch_and_removal(worker: Worker) -> None:
    row = sector()
    begin()

    assert beat(worker) == [("copy_sector", "7")]
    assert Sector.objects.get(pk=row.pk).store == "a", "not before the host has verified"
    args = WorkerCommand.objects.get(op=Operation.COPY_SECTOR).args
    assert (args["from"], args["to"], args["comm_r"]) == ("uid-a", "uid-b", bytes(range(32)).hex())
    assert beat(worker) == [("remove_copy", "7")]
    assert Sector.objects.get(pk=row.pk).store == "b"
    assert beat(worker) == []

    assert StoreMove.objects.get().state == "MOVED"
    assert Store.objects.get(name="a").events.filter(event="MOVED").exists()


def test_a_copy_that_fails_leaves_the_sector_where_it_is(worker: Worker) -> None:
    row = sector()
    begin()
    beat(worker)

    assert beat(worker, error="b is damaged") == []

    move = StoreMove.objects.get()
    assert (move.state, move.error, Sector.objects.get(pk=row.pk).store) == ("FAILED", "b is damaged", "a")
    begin()


def test_a_copy_waits_for_room_that_others_were_promised(worker: Worker) -> None:
    fault = str(room_fault("/mnt/b", needs=8, room=Room(9), promised=[Promise("j", 5, "box")]))
    row = sector()
    begin()
    beat(worker)

    assert beat(worker, error=fault) == []

    move = StoreMove.objects.get()
    assert (move.state, Sector.objects.get(pk=row.pk).store) == ("QUEUED", "a")
    assert move.error.startswith("waiting for room; retries every minute and gives up at 2")
    assert fault in move.error
    minutes = [NOON + timedelta(minutes=n) for n in (1, 2)]
    assert beat(worker, at=minutes[0] - timedelta(seconds=20)) == []
    assert beat(worker, at=minutes[0]) == [("copy_sector", "7")]
    assert StoreMove.objects.get().error == ""
    beat(worker, at=minutes[0], error=fault)
    assert beat(worker, at=minutes[1]) == [("copy_sector", "7")]
    assert beat(worker, at=minutes[1]) == [("remove_copy", "7")], "there was room"
    assert Sector.objects.get(pk=row.pk).store == "b"


def test_a_move_gives_up_waiting_for_room_after_a_day(worker: Worker) -> None:
    fault = str(room_fault("/mnt/b", needs=8, room=Room(9), promised=[Promise("j", 5, "box")]))
    sector()
    begin()
    beat(worker)
    beat(worker, error=fault)
    late = NOON + ROOM_WAIT

    assert beat(worker, at=late - timedelta(seconds=10)) == [("copy_sector", "7")]
    assert beat(worker, at=late, error=fault) == []

    move = StoreMove.objects.get()
    assert (move.state, move.error, code_of(move.error)) == ("FAILED", fault, ROOM_PROMISED)


def test_the_old_copy_waits_for_proofs_and_is_tried_again(worker: Worker) -> None:
    row = sector()
    proof = factories.proof_job(row.miner, worker=worker)
    Job.objects.filter(pk=proof.pk).update(created_at=NOON - timedelta(minutes=1))
    begin()
    beat(worker)

    assert beat(worker) == [], "a proof may still read the old copy"
    Job.objects.filter(pk=proof.pk).update(state="DONE")
    assert beat(worker) == [("remove_copy", "7")]
    assert beat(worker, error="busy") == [], "not at once"
    later = NOON + timedelta(minutes=11)
    assert beat(worker, at=later) == [("remove_copy", "7")]
    beat(worker, at=later)
    assert StoreMove.objects.get().state == "MOVED"


def test_old_copies_that_cannot_go_keep_no_other_move_from_starting(worker: Worker) -> None:
    miner = factories.miner(1000)
    for number in range(6):
        factories.sector(miner, number=number, state="PROVING", store="a", comm_r=bytes(32))
    begin(6)
    ordered = beat(worker)
    while ordered:
        kinds = {kind for kind, _ in ordered}
        ordered = beat(worker, error="read-only" if kinds == {"remove_copy"} else "")

    assert set(Sector.objects.values_list("store", flat=True)) == {"b"}
    assert set(StoreMove.objects.values_list("state", "error")) == {("COPIED", "read-only")}
    assert WorkerCommand.objects.count() == 12, "one copy and one removal each"
    factories.sector(miner, number=9, state="PROVING", store="a", comm_r=bytes(32))
    later = NOON + timedelta(minutes=11)
    beat(worker, at=later)
    StoreMove.objects.filter(state="CLEARING").update(state="COPIED", error="read-only", updated_at=NOON)
    source, target = stores()
    moves_begin(source, target=target, numbers=1, now=later, by=principal())
    assert ("copy_sector", "9") in beat(worker, at=later), "what is queued comes first"


def test_moves_that_wait_for_an_absent_store_hide_no_others(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.sectors.services.stores.move_steps.CONSIDERED_MAX", 2)
    miner = factories.miner(1000)
    disks = (told("a"), told("b"), told("c"))
    beat(worker, stores=disks)
    for number in range(3):
        factories.sector(miner, number=number, state="PROVING", store="c", comm_r=bytes(32))
    source, target = Store.objects.get(name="c"), stores()[1]
    moves_begin(source, target=target, numbers=3, now=NOON, by=principal())
    factories.sector(miner, number=9, state="PROVING", store="a", comm_r=bytes(32))
    begin()

    gone = (told("a"), told("b"), told("c", StoreCondition.AWAY))
    assert beat(worker, stores=gone) == [("copy_sector", "9")]


def test_moves_to_a_store_that_no_prover_reads_hide_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.sectors.services.stores.move_steps.CONSIDERED_MAX", 2)
    sealer, prover = host("s1"), host("p1", kinds=(JobKind.WINDOW_POST,))
    disks = (told("a"), told("b"), told("c"))
    for one in (sealer, prover):
        beat(one, stores=disks)
    miner = factories.miner(1000)
    for number in (1, 2, 3):
        factories.sector(miner, number=number, state="PROVING", store="a", comm_r=bytes(32))
    begin(3)
    factories.sector(miner, number=9, state="PROVING", store="a", comm_r=bytes(32))
    moves_begin(stores()[0], target=Store.objects.get(name="c"), numbers=1, now=NOON, by=principal())

    beat(prover, stores=(told("a"), told("c")))

    assert beat(sealer, stores=disks) == [("copy_sector", "9")]


def test_a_move_waits_while_no_prover_reads_the_new_store() -> None:
    sealer, prover = host("s1"), host("p1", kinds=(JobKind.WINDOW_POST,))
    beat(sealer)
    beat(prover)
    sector()
    begin()
    blind = (told("a"),)

    beat(prover, stores=blind)
    assert beat(sealer) == []
    beat(prover)
    assert beat(sealer) == [("copy_sector", "7")]
    beat(prover, stores=blind)
    assert beat(sealer) == [], "the old copy stays"
    beat(prover)
    assert beat(sealer) == [("remove_copy", "7")]


def test_a_prover_keeps_the_store_that_sectors_are_on_their_way_to() -> None:
    sealer, prover = host("s1"), host("p1", kinds=(JobKind.WINDOW_POST,))
    beat(sealer)
    beat(prover)
    sector()
    begin()
    row = prover.attachments.get(store__name="b")

    with pytest.raises(StoreRefused, match="1 sector being moved to b must be proven there"):
        store_detach(row, now=NOON, by=principal())


def test_a_sector_either_moves_or_changes(worker: Worker) -> None:
    row = sector()
    begin()
    with pytest.raises(RunUnderWay, match="is being moved to another store"):
        rebuild_plan(with_seal(row))

    job = factories.proof_job(row.miner, worker=worker)
    PipelineRun.objects.create(
        sector=row, job=job, kind=JobKind.REBUILD, state=RebuildState.LOST, state_since=NOON, actor="ann"
    )

    assert beat(worker) == []
    move = StoreMove.objects.get()
    assert (move.state, move.error) == ("CANCELLED", "a snap-up or rebuild of the sector is in progress")


def test_a_move_that_begins_meanwhile_keeps_a_rebuild_from_beginning(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = with_seal(sector())
    monkeypatch.setattr("apps.sectors.services.runs.rebuild.rebuild_plan", lambda _sector: begin())

    with pytest.raises(RunUnderWay, match="is being moved to another store"):
        rebuild_begin(row, by=principal(), now=NOON)
    assert not PipelineRun.objects.exists()


def test_the_old_copy_waits_for_an_unsealing(worker: Worker) -> None:
    row = sector()
    fields: dict[str, Any] = {"kind": JobKind.UNSEAL, "miner": row.miner, "stage": "UNSEAL", "lease_s": 60}
    fields |= {"state": "LEASED", "worker": worker, "inputs": {"sector": str(row.uuid)}}
    job = Job.objects.create(**fields)
    Job.objects.filter(pk=job.pk).update(created_at=NOON - timedelta(minutes=1))
    begin()
    beat(worker)

    assert beat(worker) == [], "it reads the old copy"
    Job.objects.filter(pk=job.pk).update(state="DONE")
    assert beat(worker) == [("remove_copy", "7")]


def test_a_sector_whose_files_are_to_go_does_not_move(worker: Worker) -> None:
    sector(removal_asked_at=NOON)

    with pytest.raises(StoreRefused, match="none of them"):
        begin()


def with_seal(row: SectorRow) -> SectorRow:
    """The sector with all that a rebuild needs."""
    row.ticket, row.comm_d = bytes(32), sha254_zero(row.sector_size)
    row.save()
    return row


def test_nothing_is_ordered_while_a_store_is_away(worker: Worker) -> None:
    sector()
    begin()
    gone = (told("a"), told("b", StoreCondition.AWAY))

    assert beat(worker, stores=gone) == []
    assert beat(worker) == [("copy_sector", "7")]


def test_a_sector_that_ended_meanwhile_is_not_switched(worker: Worker) -> None:
    row = sector()
    begin()
    beat(worker)
    Sector.objects.filter(pk=row.pk).update(state="TERMINATED")

    beat(worker)

    assert (StoreMove.objects.get().state, Sector.objects.get(pk=row.pk).store) == ("FAILED", "a")


def test_only_proving_sectors_move_once_each_two_at_a_time(worker: Worker) -> None:
    miner = factories.miner(1000)
    for number in range(4):
        factories.sector(miner, number=number, state="PROVING", store="a", comm_r=bytes(32))
    factories.sector(miner, number=9, state="COMMIT_LANDED", store="a")
    factories.sector(miner, number=10, state="PROVING", store="elsewhere")

    assert len(begin(1_000)) == 4
    with pytest.raises(StoreRefused, match="none of them"):
        begin(1_000)

    assert beat(worker) == [("copy_sector", "0"), ("copy_sector", "1")]
    assert moves_cancel(stores()[0], by=principal(), now=NOON) == 2
    assert sorted(StoreMove.objects.values_list("state", flat=True)) == [
        *("CANCELLED", "CANCELLED", "COPYING", "COPYING")
    ]


def test_refused_without_a_host_or_a_prover_for_both() -> None:
    sealer = host("s1")
    beat(sealer)
    sector()
    with pytest.raises(StoreRefused, match="no online prover can read b"):
        begin()

    beat(sealer, stores=(told("a"), told("b", StoreCondition.FULL)))
    with pytest.raises(StoreRefused, match="no online host can read a and write to b"):
        begin()
    with pytest.raises(StoreRefused, match="another store"):
        moves_begin(stores()[0], target=stores()[0], numbers=1, now=NOON, by=principal())


@pytest.mark.parametrize("is_retired", [True, False])
def test_moves_of_a_host_that_is_gone_end(worker: Worker, is_retired: bool) -> None:
    miner = factories.miner(1000)
    for number in range(4):
        factories.sector(miner, number=number, state="PROVING", store="a", comm_r=bytes(32))
    begin(4)
    beat(worker)
    StoreMove.objects.filter(sector__number=0).update(state="COPIED")
    StoreMove.objects.filter(sector__number=2).update(state="CLEARING")
    later = NOON + timedelta(minutes=5)

    if is_retired:
        worker_retire(worker, now=NOON)
    else:
        assert moves_cancel(stores()[0], by=principal(), now=later) == 4

    rows = StoreMove.objects.order_by("sector__number")
    assert [row.state for row in rows] == ["MOVED", "FAILED", "MOVED", "CANCELLED"]
    assert [row.error.partition(": ")[2] for row in rows] == [
        "the old copy is left in a",
        f"the copy was not finished, its partial files are left in b{'' if is_retired else UNTIL}",
        "the old copy is left in a",
        "",
    ]
    left = [(one.op, one.args["number"]) for one in worker.commands.filter(done_at=None)]
    assert left == ([] if is_retired else [("drop_copy", "1")])


def test_a_half_copy_goes_before_the_sector_is_copied_there_again(worker: Worker) -> None:
    sector()
    begin()
    beat(worker)
    later = NOON + timedelta(minutes=5)
    moves_cancel(stores()[0], by=principal(), now=later)
    Worker.objects.filter(pk=worker.pk).update(seen_at=later)
    source, target = stores()
    moves_begin(source, target=target, numbers=1, now=later, by=principal())

    answer = worker_heartbeat(
        worker, heartbeat=Heartbeat(boot_id=worker.boot_id, attached=(told("a"), told("b"))), now=later
    )
    assert [str(one.op) for one in answer.commands] == ["drop_copy"]
    assert beat(worker, at=later) == [("copy_sector", "7")]

    notes = Store.objects.get(name="b").events.values_list("note", flat=True)
    assert "sector 7: its partial copy was removed" in notes


@pytest.mark.parametrize("is_retired", [False, True])
def test_another_hosts_half_copy_goes_before_the_sector_is_copied(worker: Worker, is_retired: bool) -> None:
    sector()
    begin()
    beat(worker)
    later = NOON + timedelta(minutes=5)
    moves_cancel(stores()[0], by=principal(), now=later)
    other = host("h2", at=later, kinds=BOTH)
    beat(other, at=later)
    source, target = stores()
    [move] = moves_begin(source, target=target, numbers=1, now=later, by=principal())
    assert move.worker == other

    assert beat(other, at=later) == [], "the first host may remove what the second had copied"
    move.refresh_from_db()
    assert move.state == "QUEUED"
    row = StoreMove.objects.select_related("sector__miner", "from_store", "to_store").get(pk=move.pk)
    assert removals_awaited([row]) == {row.pk: Removal(worker.name, "s-t01000-7", "b")}
    if is_retired:
        worker_retire(worker, now=later)
    else:
        assert [one.op for one in worker.commands.filter(done_at=None)] == ["drop_copy"]
        beat(worker, at=later)

    assert removals_awaited([row]) == {}
    assert beat(other, at=later) == [("copy_sector", "7")]


def test_a_sector_of_another_tenant_is_not_switched(worker: Worker) -> None:
    row = sector()
    begin()
    beat(worker)
    Sector.objects.filter(pk=row.pk).update(tenant=tenant("bob"))

    beat(worker)

    assert (StoreMove.objects.get().state, Sector.objects.get(pk=row.pk).store) == ("FAILED", "a")


def test_a_miner_with_open_moves_is_not_transferred(worker: Worker) -> None:
    row = sector()
    begin()

    with pytest.raises(TransferRefused, match="1 sector is being moved to another store"):
        unfinished_check(row.miner, now=NOON)
    moves_cancel(stores()[0], by=principal(), now=NOON)
    unfinished_check(row.miner, now=NOON)
