"""Checks of files: a few sectors at a time, each result kept by sector and store, what differs shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.checks.findings.stores import copies_bad
from apps.checks.selectors.data import CheckData
from apps.core.errors import BadValue
from apps.miners.models import Miner
from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import Sector, SectorCopy, Store, StoreCheck, StoreMove, Worker, WorkerCommand
from apps.sectors.selectors import store_checks as store_check_selectors
from apps.sectors.selectors.store_checks import (
    StoreChecked,
    checks_of,
    checks_wait,
    copies_bad_of,
    stores_checked,
)
from apps.sectors.services.files.copies import copies_forget
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.hosts.retirement import worker_retire
from apps.sectors.services.stores import checks as store_checks
from apps.sectors.services.stores.checks import check_begin, check_cancel
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import Heartbeat
from poolsite.wire.jobs import JobKind
from poolsite.wire.store_checks import CheckedFile, CheckedSector, FileState
from poolsite.wire.stores import StoreCondition
from tests import factories
from tests.people import principal, tenant
from tests.unit.apps.sectors.moves import told
from tests.unit.apps.sectors.sealing import NOON, host

pytestmark = pytest.mark.django_db

PLAIN = {"sealed/x": FileState.GOOD, "cache/x/p_aux": FileState.GOOD}


@pytest.fixture
def worker() -> Worker:
    """A host with the stores a and b; three sectors lie in a."""
    made = host(kinds=(JobKind.SEAL, JobKind.WINDOW_POST))
    beat(made)
    miner = factories.miner(1000)
    for number in range(3):
        factories.sector(miner, number=number, state="PROVING", store="a", comm_r=bytes(32))
    factories.sector(miner, number=8, state="TERMINATED", store="a", comm_r=bytes(32))
    factories.sector(miner, number=9, state="PROVING", store="b", comm_r=bytes(32))
    return made


def beat(
    worker: Worker,
    found: Mapping[int, Mapping[str, FileState]] | None = None,
    *,
    error: str = "",
    **data: Any,
) -> list[int]:
    """The host has checked what it was told last; returns the sectors that it is told now."""
    orders = worker.commands.filter(done_at=None, op=Operation.CHECK_SECTOR)
    done = [] if found is None else list(orders)
    checked = tuple(
        CheckedSector(
            command=str(one.uuid),
            files=tuple(
                CheckedFile(name=name, state=state, size=10)
                for name, state in (found or {}).get(int(one.args["number"]), PLAIN).items()
            ),
        )
        for one in done
    )
    ids = tuple(str(one.uuid) for one in done)
    heartbeat = Heartbeat(
        boot_id=worker.boot_id,
        attached=data.get("attached", (told("a"), told("b"))),
        done_commands=ids,
        checked=() if error else checked,
        command_errors=dict.fromkeys(ids, error) if error else {},
    )
    answer = worker_heartbeat(worker, heartbeat=heartbeat, now=data.get("at", NOON))
    worker.refresh_from_db()
    return [int(one.args["number"]) for one in answer.commands if one.op == Operation.CHECK_SECTOR]


def begin(**data: Any) -> StoreCheck:
    return check_begin(Store.objects.get(name="a"), now=NOON, by=principal(), **data)


def test_a_stores_sectors_are_checked_a_few_at_a_time(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_checks, "AT_ONCE", 2)
    check = begin(bytes_s=5 << 20)
    assert begin().pk == check.pk, "a second click"

    assert beat(worker) == [0, 1]
    args = worker.commands.get(args__number="0").args
    assert (args["uid"], args["comm_r"], args["bytes_s"]) == ("uid-a", "00" * 32, str(5 << 20))
    bad = {"sealed/x": FileState.DIFFERS, "cache/x/p_aux": FileState.NOTED}
    assert beat(worker, {1: bad}) == [2]
    assert beat(worker, {}) == []

    check.refresh_from_db()
    assert (check.state, check.total, check.done, check.bad, check.read_bytes) == ("DONE", 3, 3, 1, 60)
    rows = dict(SectorCopy.objects.order_by("sector").values_list("sector__number", "condition"))
    assert rows == {0: "GOOD", 1: "BAD", 2: "GOOD"}
    [finding] = copies_bad(CheckData(principal()))
    assert finding.say == "1 sector in a with bad files"
    assert "sealed/x does not match its recorded checksum" in finding.reason
    assert Store.objects.get(name="a").events.filter(event="FILES_DIFFER").exists()

    again = begin(sector=Sector.objects.get(number=1))
    assert beat(worker) == [1]
    beat(worker, {})
    again.refresh_from_db()
    assert (again.state, again.bad) == ("DONE", 0)
    assert list(copies_bad(CheckData(principal()))) == []


def test_while_the_store_is_away_a_check_waits_and_loses_nothing(worker: Worker) -> None:
    check = begin()
    away = (told("a", StoreCondition.AWAY), told("b"))
    assert beat(worker, {}, error="it went away", attached=away) == []
    check.refresh_from_db()
    assert (check.state, check.error, check.done, len(check.queue)) == ("RUNNING", "it went away", 0, 3)
    assert checks_wait([check], now=NOON)[check.pk] == f"waiting until {worker.name} can read a again"
    assert not SectorCopy.objects.exists()

    later = NOON + timedelta(minutes=5)
    assert beat(worker, at=later) == [0, 1, 2], "it is back"
    assert beat(worker, {}, at=later) == []
    check.refresh_from_db()
    assert (check.state, check.error, check.done, check.unread) == ("DONE", "", 3, 0)


def test_a_sector_that_is_never_read_is_tried_thrice_and_named(worker: Worker) -> None:
    check = begin(sector=Sector.objects.get(number=1))
    at = NOON
    for _ in range(3):
        assert beat(worker, at=at) == [1]
        beat(worker, {}, error="Input/output error", at=at)
        assert beat(worker, at=at) == [], "not again at once"
        at += timedelta(seconds=31)

    check.refresh_from_db()
    beat(worker, at=at)
    check.refresh_from_db()
    assert (check.state, check.done, check.unread, check.error) == ("DONE", 1, 1, "Input/output error")
    copy = SectorCopy.objects.get()
    assert (copy.condition, copy.reason) == ("UNREAD", "Input/output error")


def test_a_repeated_report_counts_once_and_an_empty_one_is_tried_again(worker: Worker) -> None:
    check = begin(sector=Sector.objects.get(number=1))
    order = worker.commands.get()
    files = (CheckedFile(name="sealed/x", state=FileState.DIFFERS, size=10),)
    twice = Heartbeat(
        boot_id=worker.boot_id,
        attached=(told("a"), told("b")),
        done_commands=(str(order.uuid),),
        checked=(CheckedSector(command=str(order.uuid), files=files),),
    )
    for _ in range(2):
        worker_heartbeat(worker, heartbeat=twice, now=NOON)
        worker.refresh_from_db()
    check.refresh_from_db()
    assert (check.state, check.done, check.bad, check.read_bytes) == ("DONE", 1, 1, 10)
    assert worker.commands.count() == 0, "done orders are not left behind"

    again = begin(sector=Sector.objects.get(number=1))
    empty = Heartbeat(
        boot_id=worker.boot_id,
        attached=(told("a"), told("b")),
        done_commands=(str(worker.commands.get().uuid),),
    )
    worker_heartbeat(worker, heartbeat=empty, now=NOON)
    again.refresh_from_db()
    assert (again.state, again.done, len(again.queue)) == ("RUNNING", 0, 1)
    assert SectorCopy.objects.get().condition == "BAD", "as it was found"


def test_a_check_whose_host_is_away_goes_to_another(worker: Worker) -> None:
    first = begin()
    later = NOON + timedelta(hours=1)
    other = host("u2", kinds=(JobKind.SEAL,), at=later)
    beat(other, at=later)

    second = check_begin(Store.objects.get(name="a"), now=later, by=principal())

    first.refresh_from_db()
    assert (first.state, first.error) == ("FAILED", f"{worker.name} is offline")
    assert (second.worker, second.state, worker.commands.count()) == (other, "RUNNING", 0)


def test_a_host_that_does_not_know_checks_is_not_asked(worker: Worker) -> None:
    worker.version = "poolsite/0.1.0"
    worker.save()
    words = r"runs poolsite/0.1.0, which does not support this: upgrade it first"
    with pytest.raises(StoreRefused, match=words):
        begin()


def test_a_check_ends_when_its_host_no_longer_has_the_store(worker: Worker) -> None:
    check = begin()
    beat(worker, attached=(told("b"),))

    check.refresh_from_db()
    assert (check.state, check.error) == ("FAILED", f"{worker.name} no longer has the store")


def test_what_was_found_of_files_that_are_others_now_is_forgotten(worker: Worker) -> None:
    begin()
    gone = {"sealed/x": FileState.MISSING}
    beat(worker, dict.fromkeys(range(3), gone))
    store = Store.objects.get(name="a")
    assert copies_bad_of([store])[store.pk].count == 3

    copies_forget(Sector.objects.get(number=0).pk, store_name="a")
    Sector.objects.filter(number=1).update(state="TERMINATED")
    Sector.objects.filter(number=2).update(tenant=tenant("bob"))

    assert copies_bad_of([store]) == {}


def test_what_ended_moved_or_was_updated_meanwhile_is_not_called_bad(worker: Worker) -> None:
    begin()
    rows = {row.number: row for row in Sector.objects.all()}
    Sector.objects.filter(pk=rows[0].pk).update(state="TERMINATED")
    Sector.objects.filter(pk=rows[1].pk).update(store="b")
    Sector.objects.filter(pk=rows[2].pk).update(comm_r=bytes(31) + b"\1")

    gone = {"sealed/x": FileState.MISSING}
    beat(worker, dict.fromkeys(range(3), gone))

    assert not SectorCopy.objects.exists()
    assert StoreCheck.objects.get().bad == 0


def moved(row: Sector, state: str, *, to: str = "b", at: timedelta = timedelta(0)) -> StoreMove:
    """A move of a sector from the other store; it came to this state so long after the order to check."""
    store = Store.objects.get(name=to)
    other = Store.objects.exclude(pk=store.pk).get()
    move = StoreMove.objects.create(
        sector=row, worker=Worker.objects.get(), from_store=other, to_store=store, state=state, actor="x"
    )
    changed = WorkerCommand.objects.get(op=Operation.CHECK_SECTOR, args__sector=str(row.uuid)).created_at + at
    StoreMove.objects.filter(pk=move.pk).update(updated_at=changed)
    return move


@pytest.mark.parametrize("state", ["COPIED", "CLEARING", "MOVED"])
def test_an_old_copy_that_a_move_removes_is_not_called_bad(worker: Worker, state: str) -> None:
    row = Sector.objects.get(number=0)
    check = begin(sector=row)
    beat(worker)
    Sector.objects.filter(pk=row.pk).update(store="b")
    moved(row, state)

    half_gone = {"sealed/x": FileState.MISSING, "cache/x/p_aux": FileState.GOOD}
    beat(worker, {0: half_gone})

    check.refresh_from_db()
    assert (check.state, check.done, check.bad, check.unread) == ("DONE", 1, 0, 0)
    assert not SectorCopy.objects.exists()


def test_a_removal_long_ago_hides_no_damage_of_another_copy(worker: Worker) -> None:
    row = Sector.objects.get(number=0)
    begin(sector=row)
    beat(worker)
    Sector.objects.filter(pk=row.pk).update(store="b")
    moved(row, "MOVED", at=-timedelta(hours=1))

    beat(worker, {0: {"sealed/x": FileState.MISSING, "cache/x/p_aux": FileState.GOOD}})

    assert SectorCopy.objects.get().condition == "BAD"


def test_a_copy_that_came_while_it_was_read_is_read_again(worker: Worker) -> None:
    row = Sector.objects.get(number=0)
    check = begin(sector=row)
    beat(worker)
    moved(row, "COPIED", to="a")

    half = {"sealed/x": FileState.MISSING, "cache/x/p_aux": FileState.GOOD}
    beat(worker, {0: half})

    check.refresh_from_db()
    assert (check.state, check.done, check.bad, check.error) == (
        "RUNNING",
        0,
        0,
        "it was moved here during the check",
    )
    assert not SectorCopy.objects.exists()
    later = NOON + timedelta(seconds=31)
    assert beat(worker, at=later) == [0]
    order = worker.commands.get(op=Operation.CHECK_SECTOR)
    StoreMove.objects.update(updated_at=order.created_at - timedelta(seconds=1))
    beat(worker, {0: half}, at=later)
    assert SectorCopy.objects.get().condition == "BAD", "what is found of it afterwards counts"


def test_damage_is_found_while_the_sector_is_only_copied_away(worker: Worker) -> None:
    row = Sector.objects.get(number=0)
    begin(sector=row)
    beat(worker)
    moved(row, "COPYING")

    beat(worker, {0: {"sealed/x": FileState.DIFFERS}})

    assert SectorCopy.objects.get().condition == "BAD"


def test_each_store_counts_its_bad_copies_however_many_another_has(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_check_selectors, "BAD_COUNTED_MAX", 2)
    first, second = Store.objects.order_by("name")
    facts = {"condition": "BAD", "found_at": NOON, "checked_at": NOON, "files": []}
    for row in Sector.objects.exclude(state="TERMINATED"):
        SectorCopy.objects.create(sector=row, store=first, **facts)
    SectorCopy.objects.create(sector=Sector.objects.get(number=9), store=second, **facts)
    SectorCopy.objects.create(sector=Sector.objects.get(number=8), store=second, **facts)

    with CaptureQueriesContext(connection) as asked:
        found = copies_bad_of([first, second])

    assert (found[first.pk].text, found[second.pk].text) == ("over 2 sectors", "1 sector")
    assert found[second.pk].first.sector.number == 9
    assert len(asked) == 2


def test_what_many_checks_wait_for_is_one_question(worker: Worker) -> None:
    begin()
    for number in range(3):
        begin(sector=Sector.objects.get(number=number))
    store = Store.objects.get(name="a")
    checks = list(checks_of(store))

    with CaptureQueriesContext(connection) as asked:
        waits = checks_wait(checks, now=NOON)

    assert (waits, len(asked)) == (dict.fromkeys((check.pk for check in checks), ""), 1)
    store.attachments.update(condition=StoreCondition.AWAY)
    assert set(checks_wait(checks, now=NOON).values()) == {f"waiting until {worker.name} can read a again"}


def test_stores_tell_their_last_check_the_one_that_runs_and_bad_copies(worker: Worker) -> None:
    first, second = Store.objects.order_by("name")
    begin()
    beat(worker)
    beat(worker, {1: {"sealed/x": FileState.DIFFERS}})
    done = StoreCheck.objects.get()
    running = begin()

    with CaptureQueriesContext(connection) as asked:
        told = stores_checked([first, second], now=NOON)

    assert told[first.pk] == StoreChecked(bad=1, running=running, done_at=done.updated_at)
    assert told[second.pk] == StoreChecked()
    assert len(asked) == 5


def test_a_loss_is_found_though_a_second_copy_is_good(worker: Worker) -> None:
    row = Sector.objects.get(number=0)
    SectorCopy.objects.create(
        sector=row, store=Store.objects.get(name="b"), condition="GOOD", found_at=NOON, checked_at=NOON
    )
    begin(sector=row)
    beat(worker, {0: {"sealed/x": FileState.MISSING, "cache/x/p_aux": FileState.MISSING}})

    assert SectorCopy.objects.get(sector=row, store__name="a").condition == "BAD"
    both = check_begin(Store.objects.get(name="b"), now=NOON, by=principal())
    assert both.total == 2, "a copy is checked as well"


def test_a_cancelled_check_orders_no_more(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_checks, "AT_ONCE", 1)
    check = begin()
    check_cancel(check, now=NOON, by=principal())

    assert beat(worker) == []
    with pytest.raises(StoreRefused, match="has already ended"):
        check_cancel(check, now=NOON, by=principal())


def test_checks_of_a_retired_host_end(worker: Worker) -> None:
    begin()
    worker_retire(worker, now=NOON)
    row = StoreCheck.objects.get()
    assert (row.state, row.error) == ("FAILED", "its host was retired")


def test_refused_without_a_host_sectors_or_a_pace(worker: Worker) -> None:
    with pytest.raises(BadValue):
        begin(bytes_s=1)
    with pytest.raises(StoreRefused, match="no sealed files"):
        begin(sector=factories.sector(Miner.objects.get(), number=11, state="PC1_DONE", comm_r=None))
    Sector.objects.filter(store="a").update(store="b")
    with pytest.raises(StoreRefused, match="no sectors are recorded in a"):
        begin()
    later = NOON + timedelta(hours=1)
    with pytest.raises(StoreRefused, match="no online host can read b"):
        check_begin(Store.objects.get(name="b"), now=later, by=principal())
    assert worker.commands.count() == 0


def test_a_host_is_told_of_a_few_of_many_single_sectors(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_checks, "AT_ONCE", 2)
    monkeypatch.setattr(store_checks, "SINGLE_MAX", 3)
    for number in range(3):
        begin(sector=Sector.objects.get(number=number))
    assert beat(worker) == [0, 1]
    other = factories.sector(Miner.objects.get(), number=5, state="PROVING", store="a", comm_r=bytes(32))
    with pytest.raises(StoreRefused, match="has 3 single sectors to check"):
        begin(sector=other)
    begin()
    assert sorted(beat(worker)) == [0, 0, 1, 1], "all of the store waits for no single one"
    beat(worker, {})
    assert "2" in worker.commands.filter(done_at=None).values_list("args__number", flat=True)
    beat(worker, {})
    begin(sector=other)
    beat(worker, {})
    assert not StoreCheck.objects.filter(state="RUNNING").exists()
