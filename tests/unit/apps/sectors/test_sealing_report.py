"""How a farm seals, against cases computed by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import apps.sectors.selectors.sealing_report as sealing_module
import apps.sectors.selectors.stage_runs as runs_module
from apps.miners.errors import MinerUnknown
from apps.miners.models import Miner
from apps.sectors.models import Job, JobEvent, Sector, Worker
from apps.sectors.selectors.bottleneck import StageFigures, limit_of
from apps.sectors.selectors.percentiles import percentile
from apps.sectors.selectors.sealing_report import SealingFilter, SealingReport, sealing_report
from apps.sectors.selectors.stage_runs import RUNS_OF_HOST
from apps.sectors.services.runs.steps import run_begin
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.people import principal
from tests.query_plans import blocks_of
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
SLOTS = {"ADD_PIECE": 1, "PC1": 2, "PC2": 1}


def host(name: str = "alpha", **slots: int) -> Worker:
    return factories.worker(name, slots=slots or SLOTS, seen_at=NOON)


def ran(
    worker: Worker,
    stage: str,
    *ends_min: float,
    minutes: float = 10,
    of: Miner | None = None,
    **overrides: Any,
) -> None:
    """Let a host have ended runs so many minutes before noon, each after ten minutes of it."""
    for before in ends_min:
        sector = factories.sector(of or factories.miner())
        at = NOON - timedelta(minutes=before)
        Sector.objects.filter(pk=sector.pk).update(created_at=at - timedelta(minutes=minutes))
        sector.created_at = at - timedelta(minutes=minutes)
        Job.objects.filter(sector=sector).update(state="DONE", created_at=sector.created_at)
        factories.events(sector, [(stage, stage, minutes * 60)], worker=worker, **overrides)


def waits(state: str, *, since_min: float, bound: Worker | None = None, held: Worker | None = None) -> Sector:
    """Return a sector that came to its next stage so many minutes before noon."""
    since = NOON - timedelta(minutes=since_min)
    sector = factories.sector(factories.miner(), state=state, held_by=held, stage_since=since)
    Job.objects.filter(sector=sector).update(sticky_worker=bound or held, updated_at=since)
    return sector


def report(**wanted: Any) -> SealingReport:
    return sealing_report(principal(), SealingFilter(**{"hours": 1} | wanted), now=NOON)


def figures(of: SealingReport, stage: str) -> StageFigures:
    return next(row for row in of.stages if row.stage == stage)


def test_percentiles_lie_between_two_values_in_proportion():
    assert percentile([], 0.5) is None
    assert percentile([7.0], 0.9) == 7.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5
    assert percentile([0.0, 10.0], 0.9) == 9.0


def test_runs_lie_in_the_first_slot_that_was_free():
    alpha = host()
    ran(alpha, "PC1", 40, 35, 25)  # 50-40, 45-35, 35-25 minutes before noon

    lanes = [lane for lane in report().hosts[0].lanes if lane.stage == "PC1"]

    begun = [[round((NOON - run.start).total_seconds() / 60) for run in lane.runs] for lane in lanes]
    assert begun == [[50, 35], [45]]


def test_use_counts_the_part_of_each_run_that_is_in_the_window():
    alpha = host()
    ran(alpha, "PC1", 55, 20)  # the first began 65 minutes before: 5 of its minutes count

    row = figures(report(), "PC1")

    assert (row.slots, row.runs, row.history) == (2, 2, 2)
    assert row.use == pytest.approx(15 / 120)
    assert (row.p50_s, row.p90_s) == (600, 600)


def test_a_stage_whose_queue_grows_beside_full_slots_limits_the_farm():
    alpha = host(PC1=1, PC2=2)
    ran(alpha, "PC1", 50, 38, 26, minutes=12)
    ran(alpha, "PC2", 30, minutes=6)
    waits("TICKET_ASSIGNED", since_min=26, held=alpha)
    waits("TICKET_ASSIGNED", since_min=90, held=alpha)
    waits("TICKET_ASSIGNED", since_min=20, bound=alpha)

    found = report()
    limits, row = found.bottleneck, figures(found, "PC1")

    assert (row.running, row.waiting, row.waiting_before) == (1, 2, 1)
    assert (limits.kind, limits.worker, limits.worker_waiting) == ("growing", alpha.pk, 2)
    # One slot of PC1 at 12 minutes makes 120 a day, two make 240; PC2 has two slots at 6 minutes: 480.
    assert limits.per_day == pytest.approx(120)
    assert limits.more_per_day == pytest.approx(240)
    assert limits.next_stage == "PC1"


def test_slots_full_all_the_time_limit_more_than_a_short_queue():
    alpha = host(ADD_PIECE=1, PC1=1)
    ran(alpha, "PC1", 48, 36, 24, 12, minutes=12)
    waits("TICKET_ASSIGNED", since_min=90, held=alpha)
    waits("TICKET_ASSIGNED", since_min=80, bound=alpha)
    waits("ALLOCATED", since_min=1, held=alpha)
    waits("ALLOCATED", since_min=1, bound=alpha)

    limits = report().bottleneck

    assert limits.figures is not None
    assert (limits.figures.stage, limits.kind) == ("PC1", "full")
    assert (limits.per_day, limits.more_per_day) == (None, None), "ADD_PIECE was not measured"


def test_a_queue_that_does_not_grow_is_told_apart():
    alpha = host(PC1=1)
    waits("TICKET_ASSIGNED", since_min=90, held=alpha)
    waits("TICKET_ASSIGNED", since_min=80, bound=alpha)

    limits = report().bottleneck

    assert limits.kind == "full"
    assert limits.per_day is None, "nothing was measured yet"


def test_a_free_slot_of_another_host_does_not_help_a_bound_queue():
    alpha, _idle = host("alpha", PC1=1), host("beta", PC1=4)
    waits("TICKET_ASSIGNED", since_min=9, held=alpha)
    waits("TICKET_ASSIGNED", since_min=8, bound=alpha)

    found = report()
    row = figures(found, "PC1")

    assert (row.running, row.slots) == (1, 5)
    assert (row.queue_running, row.queue_slots) == (1, 1)
    assert found.bottleneck.kind == "growing"


def test_a_queue_without_any_slot_is_missing_one():
    host(PC1=1)
    waits("ALLOCATED", since_min=5)

    assert report().bottleneck.kind == "missing"


def test_what_a_host_runs_that_is_not_shown_does_not_wait():
    host(PC1=1)
    damocles = factories.worker("other", slots={"PC1": 1}, seen_at=NOON, kinds=["damocles"])
    waits("TICKET_ASSIGNED", since_min=9, held=damocles)
    waits("TICKET_ASSIGNED", since_min=8, bound=damocles)

    row = figures(report(), "PC1")

    assert (row.running, row.waiting, row.waiting_before) == (0, 0, 0)


def test_hosts_beyond_those_shown_keep_their_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing_module, "HOSTS_MAX", 1)
    host("alpha", PC1=1)
    beyond = host("beta", PC1=1)
    waits("TICKET_ASSIGNED", since_min=9, held=beyond)

    found = report()

    assert found.hosts_left_out == 1
    assert figures(found, "PC1").waiting == 0
    assert found.bottleneck.kind == "idle"


def test_what_an_absent_host_holds_does_not_wait():
    paused = factories.worker("held", slots={"PC1": 1}, seen_at=NOON, is_paused=True)
    bare = factories.worker("bare", slots={}, seen_at=NOON)
    for holder in (paused, paused, bare, bare):
        waits("TICKET_ASSIGNED", since_min=9, held=holder)

    found = report()

    assert (figures(found, "PC1").running, figures(found, "PC1").waiting) == (2, 0)
    assert found.bottleneck.kind == "idle"
    assert {one.worker.name: one.is_absent for one in found.hosts} == {"held": True, "bare": False}


def test_without_a_queue_nothing_is_named():
    alpha = host()
    ran(alpha, "PC1", 20)

    limits = report().bottleneck

    assert limits.kind == "idle"
    assert limits.figures is not None
    assert limits.figures.stage == "PC1"


def test_a_host_is_limited_by_its_slowest_stage():
    assert limit_of({"PC1": 2, "PC2": 1}, {"PC1": 100.0, "PC2": 40.0}) == (86_400 * 2 / 100, "PC1")
    assert limit_of({"PC1": 2}, {}) == (None, "")
    assert limit_of({"PC1": 2, "PC2": 1}, {"PC1": 100.0}) == (None, ""), "PC2 may limit it"
    assert limit_of({"PC1": 2, "PC2": 1}, {"PC1": 100.0, "PC2": 0.0}) == (86_400 * 2 / 100, "PC1")


def test_slots_of_hosts_that_claim_nothing_do_not_count():
    ran(host(), "PC1", 20)
    factories.worker("gone", slots={"PC1": 5}, seen_at=NOON - HOUR)
    factories.worker("held", slots={"PC1": 5}, seen_at=NOON, is_paused=True)

    assert figures(report(), "PC1").slots == 2


def test_a_failed_run_stands_where_it_ended():
    alpha = host()
    ran(alpha, "PC2", 15, is_error=True, ms=None)

    found = report()

    assert figures(found, "PC2").failed == 1
    [run] = [run for lane in found.hosts[0].lanes for run in lane.runs]
    assert run.start == run.end == NOON - timedelta(minutes=15)


WAY = [("ADD_PIECE", "ADD_PIECE", 60.0), ("PC1", "PC1", 600.0), ("PC2", "PC2", 300.0)]


def finished(miner: Any, scale: float = 1.0) -> None:
    """Make a sector that went through three stages and is proving."""
    sector = factories.sector(miner, state="PROVING", active=True)
    factories.events(sector, [(event, stage, took * scale) for event, stage, took in WAY])
    factories.events(sector, [("FINALIZE", "FINALIZE", 1000.0 * scale)], to_state="PROVING")


def test_a_sector_in_progress_ends_by_what_finished_ones_took():
    miner = factories.miner()
    for scale in (1.0, 1.0, 2.0):
        finished(miner, scale)
    since = NOON - timedelta(seconds=200)
    row = factories.sector(miner, state="TICKET_ASSIGNED", stage_since=since)

    [eta] = report().sectors

    assert eta.sector.uuid == str(row.uuid)
    # 400 s of PC1 are left, then 300 s of PC2, then 40 s: the events of one sector begin at its pledge.
    assert eta.eta == NOON + timedelta(seconds=400 + 300 + 40)
    assert not eta.is_late


def test_sectors_that_wait_for_somebody_or_are_late_stand_first():
    miner = factories.miner()
    finished(miner)
    soon = factories.sector(miner, state="PC2_DONE", stage_since=NOON)
    late = factories.sector(miner, state="TICKET_ASSIGNED", stage_since=NOON - 5 * HOUR)
    paused = factories.sector(miner, state="TICKET_ASSIGNED", stage_since=NOON, paused_at=NOON)

    etas = report().sectors

    assert [one.sector.number for one in etas] == [paused.number, late.number, soon.number]
    assert [one.eta is None for one in etas] == [True, False, False]
    assert [one.is_late for one in etas] == [False, True, False]


def test_a_sector_whose_host_is_away_or_paused_has_no_end():
    miner = factories.miner()
    finished(miner)
    gone = factories.worker("gone", seen_at=NOON - HOUR)
    stopped = factories.worker("stopped", seen_at=NOON, is_paused=True)
    for worker in (gone, stopped):
        sector = factories.sector(miner, state="TICKET_ASSIGNED", stage_since=NOON)
        Job.objects.filter(sector=sector).update(sticky_worker=worker)

    etas = report().sectors

    assert [(one.eta, one.waits_for_host) for one in etas] == [(None, True), (None, True)]
    assert {one.sector.host: one.sector.is_host_away for one in etas} == {"gone": True, "stopped": False}


def test_a_stranger_sees_nothing_of_others_and_no_foreign_miner():
    alpha = host()
    ran(alpha, "PC1", 20)
    waits("TICKET_ASSIGNED", since_min=5, held=alpha)
    stranger = principal("bob")

    found = sealing_report(stranger, SealingFilter(), now=NOON)

    assert (found.hosts, found.stages, found.sectors) == ((), (), ())
    mine = factories.miner()
    with pytest.raises(MinerUnknown):
        sealing_report(stranger, SealingFilter(miner=mine.address), now=NOON)


def test_runs_of_a_miner_that_went_to_another_tenant_are_not_shown():
    alpha = host()
    sector = factories.sector(factories.miner(of="bob"))
    factories.events(sector, [("PC1", "PC1", 60.0)], worker=alpha)

    found = sealing_report(principal(), SealingFilter(hours=24), now=sector.created_at + HOUR)

    assert all(not lane.runs for lane in found.hosts[0].lanes)


def test_so_many_runs_of_a_host_are_read_and_no_more():
    alpha = host()
    sector = factories.sector(factories.miner())
    factories.events(sector, [("PC1", "PC1", 1.0)] * (RUNS_OF_HOST + 50), worker=alpha)

    found = sealing_report(principal(), SealingFilter(hours=24), now=sector.created_at + HOUR)

    assert sum(len(lane.runs) for lane in found.hosts[0].lanes) == RUNS_OF_HOST
    assert found.hosts[0].is_capped


def test_a_capped_hosts_use_and_pace_are_of_the_time_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "RUNS_OF_HOST", 3)
    alpha, beta = host(FINALIZE=1), host("beta", FINALIZE=1)
    ran(alpha, "FINALIZE", 50, 40, 30, 20, 10)  # read: 30 minutes, in which 20 were worked
    ran(beta, "FINALIZE", 45, 5)

    found = report()

    assert [one.is_capped for one in found.hosts] == [True, False]
    assert figures(found, "FINALIZE").use == pytest.approx((20 + 20) / (30 + 60))
    # Two in the half hour after the oldest that was read, and two in an hour.
    assert found.per_day == pytest.approx(24 * (2 * 2 + 2))


def test_a_viewer_sees_that_a_host_ran_more_than_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "RUNS_OF_HOST", 3)
    alpha = host(FINALIZE=1)
    ran(alpha, "FINALIZE", 50, 40, 5)
    other = factories.miner(of="bob")
    ran(alpha, "FINALIZE", 20, 10, of=other)  # read are those of 20, 10 and 5 minutes ago

    found = report()

    assert [one.is_capped for one in found.hosts] == [True]
    assert found.finished == 1
    assert found.per_day == pytest.approx(24 * 3)


def test_a_rebuilt_sector_is_no_new_one() -> None:
    alpha = host(FINALIZE=1)
    ran(alpha, "FINALIZE", 50)
    sector = factories.sector(factories.miner(), state="PROVING")
    run = run_begin(sector, kind=JobKind.REBUILD, state="LOST", actor="ann", now=NOON, hosts=[], pieces=[])
    JobEvent.objects.create(job=run.job, event="FINALIZE", stage="FINALIZE", at=NOON, ms=1000, worker=alpha)

    found = report()

    assert found.finished == 1
    assert figures(found, "FINALIZE").runs == 2


COPIES = """
INSERT INTO sectors_jobevent
    (job_id, event, from_state, to_state, stage, at, ms, actor, worker_id, note, is_error, digest)
SELECT job_id, event, from_state, to_state, stage, at, ms, actor, NULL, note, is_error, digest
FROM sectors_jobevent, generate_series(1, %s) WHERE id = %s
"""


def test_the_report_reads_no_more_of_an_older_farm():
    alpha = host()
    ran(alpha, "PC1", 40, 20)
    other = factories.events(factories.sector(factories.miner()), [("PC1", "PC1", 1.0)])[0]

    def blocks() -> int:
        with connection.cursor() as cursor:
            cursor.execute("analyze sectors_jobevent")
        with CaptureQueriesContext(connection) as asked:
            report()
        return sum(blocks_of(asked.captured_queries).values())

    blocks()
    few = blocks()
    with connection.cursor() as cursor:
        cursor.execute(COPIES, [20_000, other.pk])

    assert blocks() <= few + 40
