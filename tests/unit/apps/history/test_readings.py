"""What is taken down of things, once in each slot, and how long it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.core.clock import DAY
from apps.history.models import Reading
from apps.history.selectors.series import history_since, series
from apps.history.services import readings
from apps.history.services.readings import kind_record, readings_delete_old, readings_record
from apps.history.states import HOUR, Kind
from apps.miners.models import Miner
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.timeline import job_event_write
from poolsite.filecoin.amounts import FIL
from poolsite.wire.hardware import Hardware, HostLoad
from poolsite.wire.hosts import Heartbeat
from poolsite.wire.pipeline import SectorState
from tests import factories

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def miner_at(at: datetime, **figures: Any) -> Miner:
    factories.head(1000, arrived_at=at)
    return factories.miner(refreshed_height=1000, **figures)


def hour_of(kind: Kind, subject: int, at: datetime) -> Any:
    return Reading.objects.get(kind=kind, subject=subject, step=HOUR, at=at).figures


def test_a_slot_counts_once_however_often_it_is_taken_down():
    miner = miner_at(NOON, qa_power=10, available=2 * FIL)

    for seconds in (1, 2, 300):
        kind_record(Kind.MINER, now=NOON + timedelta(seconds=seconds))

    assert hour_of(Kind.MINER, miner.pk, NOON)["qa_power"] == [1, 10, 10, 10, 10]
    assert Reading.objects.filter(kind=Kind.MINER).count() == 2


def test_slots_of_an_hour_are_one_row_with_mean_and_bounds():
    miner = miner_at(NOON)
    for minute, power in ((0, 10), (10, 40), (20, 40)):
        factories.head(1001 + minute, arrived_at=NOON + minute * MINUTE)
        Miner.objects.update(qa_power=power, refreshed_height=1001 + minute)
        kind_record(Kind.MINER, now=NOON + minute * MINUTE)

    found = series(Kind.MINER, [miner.pk], begin=NOON, end=NOON + HOUR, step=HOUR, now=NOON + HOUR)

    [point] = found.of("qa_power")
    assert point is not None
    assert (point.value, point.low, point.high) == (30, 10, 40)
    assert Reading.objects.get(kind=Kind.MINER, step=DAY).figures["qa_power"] == [3, 90, 10, 40, 40]


def test_atto_fil_keep_all_their_digits():
    held = 123_456_789 * FIL + 1
    miner = miner_at(NOON, balance=held)

    kind_record(Kind.MINER, now=NOON)

    found = series(Kind.MINER, [miner.pk], begin=NOON, end=NOON + HOUR, step=HOUR, now=NOON)
    [point] = found.of("balance")
    assert point is not None
    assert point.value == held


def test_a_kill_between_two_parts_leaves_none_out_and_counts_none_twice(monkeypatch):
    monkeypatch.setattr(readings, "PART", 1)
    first, second = miner_at(NOON, qa_power=1), factories.miner(refreshed_height=1000, qa_power=2)
    whole = readings.slot_record

    def killed(kind, *, measured, slot):
        whole(kind, measured=measured, slot=slot)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(readings, "slot_record", killed)
        with pytest.raises(KeyboardInterrupt):
            kind_record(Kind.MINER, now=NOON)
    kind_record(Kind.MINER, now=NOON + MINUTE)

    assert hour_of(Kind.MINER, first.pk, NOON)["qa_power"][0] == 1
    assert hour_of(Kind.MINER, second.pk, NOON)["qa_power"][0] == 1


def test_a_chain_that_stands_still_tells_nothing_of_now():
    miner_at(NOON - HOUR, qa_power=10)
    factories.wallet(balance=FIL)

    readings_record(now=NOON)

    assert not Reading.objects.exclude(kind=Kind.SEALING).exists()


def test_a_miner_that_is_not_read_any_more_has_a_gap():
    miner = miner_at(NOON, qa_power=10)
    Miner.objects.update(refreshed_height=900)

    kind_record(Kind.MINER, now=NOON)

    found = series(Kind.MINER, [miner.pk], begin=NOON, end=NOON + HOUR, step=HOUR, now=NOON)
    assert found.of("qa_power") == [None]


def test_hosts_of_the_last_version_tell_of_their_disks_alone():
    old = factories.worker(seen_at=NOON, hardware={"disk_total_bytes": 100, "disk_free_bytes": 25})
    load = {"cpu_permille": 400, "memory_permille": 0, "celsius": 71}
    new = factories.worker(seen_at=NOON, hardware={"load": load})
    silent = factories.worker(seen_at=NOON - HOUR, hardware={"load": load})

    kind_record(Kind.HOST, now=NOON)

    assert hour_of(Kind.HOST, old.pk, NOON)["disk"] == [1, 0.75, 0.75, 0.75, 0.75]
    assert set(hour_of(Kind.HOST, old.pk, NOON)) == {"disk", "slots_busy"}
    assert set(hour_of(Kind.HOST, new.pk, NOON)) == {"cpu", "memory", "temperature", "slots_busy"}
    assert hour_of(Kind.HOST, new.pk, NOON)["memory"][1] == 0
    assert not Reading.objects.filter(kind=Kind.HOST, subject=silent.pk).exists()


def test_what_a_heartbeat_tells_of_the_load_is_recorded():
    worker = factories.worker()
    load = HostLoad(cpu_permille=250, memory_permille=700, gpu_permille=None, celsius=0)
    hardware = Hardware(cpus=4, disk_total_bytes=100, disk_free_bytes=40, load=load)
    worker_heartbeat(worker, heartbeat=Heartbeat(boot_id=worker.boot_id, hardware=hardware), now=NOON)

    kind_record(Kind.HOST, now=NOON)

    last = {name: stored[4] for name, stored in hour_of(Kind.HOST, worker.pk, NOON).items()}
    assert last == {"cpu": 0.25, "memory": 0.7, "temperature": 0, "disk": 0.6, "slots_busy": 0}


def test_busy_slots_of_a_host_are_those_that_run_something():
    worker = factories.worker(seen_at=NOON, slots={"PC1": 2, "C2": 2})
    without = factories.worker("without", seen_at=NOON, slots={}, hardware={})
    for _ in range(3):  # the third waits on the host for a slot
        factories.sector(factories.miner(), state="TICKET_ASSIGNED", held_by=worker)

    kind_record(Kind.HOST, now=NOON)

    assert hour_of(Kind.HOST, worker.pk, NOON)["slots_busy"] == [1, 0.5, 0.5, 0.5, 0.5]
    assert not Reading.objects.filter(subject=without.pk).exists()


def test_sealing_is_counted_anew_and_hours_without_any_are_0():
    miner = miner_at(NOON)
    sector = factories.sector(miner)
    sector.created_at = NOON - 2 * HOUR
    factories.events(
        sector, [("PC1", "PC1", 60.0), ("CHECK", "SECTOR_CHECK", 1.0), ("FINALIZE", "FINALIZE", 3600.0)]
    )
    last = sector.job.events.order_by("-pk")[0]
    type(last).objects.filter(pk=last.pk).update(to_state=SectorState.PROVING)

    readings_record(now=NOON)
    readings_record(now=NOON + MINUTE)

    found = series(Kind.SEALING, [miner.pk], begin=NOON - 3 * HOUR, end=NOON + HOUR, step=HOUR, now=NOON)
    assert [point and point.value for point in found.of("sealed")] == [0, 0, 1, 0]
    day = Reading.objects.get(kind=Kind.SEALING, subject=miner.pk, step=DAY)
    assert day.figures["sealed"][1] == 1
    assert day.figures["PC1"][1] == 1
    assert set(day.figures) == {"sealed", "PC1", "FINALIZE"}, "a check or a proof of a window is no sealing"


def test_imports_and_notes_of_proving_sectors_count_as_no_sealing():
    miner = miner_at(NOON)
    proving = str(SectorState.PROVING)
    sector = factories.sector(miner, state=proving)
    for event, before in (("IMPORT", ""), ("REMOVE_FILES", ""), ("REPORT_IGNORED", proving)):
        job_event_write(sector.job, event=event, now=NOON, state=before, after=proving)

    readings_record(now=NOON + MINUTE)

    assert hour_of(Kind.SEALING, miner.pk, NOON)["sealed"][1] == 0


def test_sealing_is_counted_on_after_the_clock_was_set_back():
    miner = miner_at(NOON)
    readings_record(now=NOON + 30 * DAY)
    sector = factories.sector(miner)
    sector.created_at = NOON
    factories.events(sector, [("FINALIZE", "FINALIZE", 60.0)], to_state=SectorState.PROVING)

    readings_record(now=NOON + 2 * MINUTE)

    assert hour_of(Kind.SEALING, miner.pk, NOON)["sealed"][1] == 1


def test_rows_do_not_grow_with_sectors():
    miner = miner_at(NOON)
    readings_record(now=NOON)
    before = Reading.objects.count()
    for _ in range(20):
        factories.sector(miner)

    readings_record(now=NOON + MINUTE)

    assert Reading.objects.count() == before


def test_hours_are_kept_for_weeks_and_days_for_a_year():
    def row(kind: Kind, step: timedelta, age: timedelta) -> Reading:
        return Reading.objects.create(
            kind=kind, subject=1, step=step, at=NOON - age, slot=NOON - age, figures={}
        )

    kept = [row(Kind.MINER, HOUR, 34 * DAY), row(Kind.MINER, DAY, 366 * DAY), row(Kind.WALLET, HOUR, 7 * DAY)]
    for kind, step, age in (
        (Kind.MINER, HOUR, 36 * DAY),
        (Kind.MINER, DAY, 401 * DAY),
        (Kind.WALLET, HOUR, 9 * DAY),
    ):
        row(kind, step, age)

    readings_delete_old(now=NOON)

    assert set(Reading.objects.values_list("pk", flat=True)) == {one.pk for one in kept}


def test_all_old_rows_are_deleted_however_many_an_hour_has_added(monkeypatch):
    monkeypatch.setattr(readings, "DELETED_AT_ONCE", 2)
    at = NOON - 9 * DAY
    Reading.objects.bulk_create(
        Reading(kind=Kind.WALLET, subject=key, step=HOUR, at=at, slot=at, figures={}) for key in range(5)
    )

    readings_delete_old(now=NOON)

    assert not Reading.objects.exists()


def test_times_whose_hours_are_not_kept_are_read_by_days():
    found = series(Kind.WALLET, [1], begin=NOON - 30 * DAY, end=NOON, step=6 * HOUR, now=NOON)

    assert found.step == DAY
    assert len(found.steps) == 31


def test_since_is_told_to_the_hour_while_it_is_young():
    miner = miner_at(NOON, qa_power=10)

    kind_record(Kind.MINER, now=NOON + 9 * MINUTE)

    assert history_since(Kind.MINER, [miner.pk]) == NOON
    assert history_since(Kind.MINER, [miner.pk + 1]) is None
