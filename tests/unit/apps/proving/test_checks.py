"""Sectors are looked at ahead of their window, once each, by who has their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from apps.proving.models import CheckRun, Deadline, SectorCheck, WindowPost
from apps.proving.services import checks
from apps.proving.services.check_results import checks_collect, proof_results_store
from apps.proving.services.checks import checks_begin
from apps.proving.states import CheckKind
from apps.sectors.models import Job, Sector, Store
from apps.sectors.states import JobState
from tests import factories
from tests.killed_writes import killed_writes
from tests.unit.apps.proving.backup_prover_kills import killed_everywhere
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look
from tests.unit.apps.proving.sector_checks import (
    AGAIN,
    AHEAD,
    OPENS,
    checker,
    looked,
    passed,
    waiting,
)

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("time_stands_still")]


def test_every_sector_is_looked_at_once_two_windows_before_the_cutoff() -> None:
    of, host = waiting(), checker()

    assert looked(host, height=AHEAD - 1) == set()
    assert looked(host, height=AHEAD) == {1, 2}
    assert looked(host, height=AHEAD + 1) == set()

    rows = SectorCheck.objects.filter(miner=of).order_by("number")
    assert [(row.number, row.store, row.host, row.is_good) for row in rows] == [
        (1, "store-1", "p", True),
        (2, "store-1", "p", True),
    ]
    run = CheckRun.objects.get()
    assert (run.kind, run.state, run.count, run.ms, run.sectors) == (CheckKind.AHEAD, "DONE", 2, 7, [])
    assert Job.objects.get().inputs == {}


def test_pace_and_place_in_the_queue_come_from_the_setting(settings: Any) -> None:
    settings.PROVING = {"check_per_s": 3}
    waiting()
    checker()
    checks_begin(look(OneDeadline(), AHEAD))

    job = Job.objects.get()

    assert (job.inputs["per_second"], job.priority, job.time_sensitive) == (3, -1, False)


def test_faulty_sectors_and_other_hosts_are_left_alone() -> None:
    of = waiting((1, 2), faulty=(2,))
    near, far = checker("near"), checker("far", stores=["store-2"])
    factories.sector(of, number=1, state="PROVING", store="store-2")

    assert looked(near, height=AHEAD) == set()
    assert looked(far, height=AHEAD) == {1}


def test_sector_of_unknown_store_is_looked_for_in_all() -> None:
    waiting((1,))
    near, far = checker("near"), checker("far", stores=["store-2"])

    assert looked(near, (1,), height=AHEAD) == {1}
    assert looked(far, height=AHEAD) == {1}

    assert set(SectorCheck.objects.values_list("store", "is_good")) == {("store-1", False), ("store-2", True)}
    assert passed(AGAIN) == [], "one store has it"


def test_a_lost_file_is_bad_though_another_store_has_a_copy() -> None:
    of, host = waiting((1, 2)), checker(stores=["a", "b"])
    for name in "ab":
        Store.objects.create(tenant=of.tenant, uid=f"uid-{name}", name=name)
    for number in (1, 2):
        factories.sector(of, number=number, state="PROVING", store="a")

    assert looked(host, (2,), height=AHEAD, elsewhere="uid-b") == {1, 2}

    [row] = SectorCheck.objects.filter(is_good=False)
    assert (row.number, row.store, row.good_in) == (2, "a", "b")
    assert row.reason == "is missing; b has a good copy"
    job = factories.proof_job(of, worker=host, result={"stores": ["a", "b"], "worker": "p"})
    post = WindowPost(miner=of, deadline_index=row.deadline_index)
    proof_results_store(post, job=job, numbers=[1, 2], context=look(OneDeadline(), AHEAD))
    row.refresh_from_db()
    assert not row.is_good, "a proof that reads the copy makes nothing good"
    assert looked(host, height=AGAIN) == {2}
    row.refresh_from_db()
    assert (row.is_good, row.good_in) == (True, "")


def test_a_sector_that_moved_while_it_was_looked_at_is_not_bad() -> None:
    of, host = waiting((1,)), checker(stores=["a", "b"])
    for name in "ab":
        Store.objects.create(tenant=of.tenant, uid=f"uid-{name}", name=name)
    row = factories.sector(of, number=1, state="PROVING", store="a")
    context = look(OneDeadline(), AHEAD)
    checks_begin(context)
    Sector.objects.filter(pk=row.pk).update(store="b")

    looked(host, (1,), height=AHEAD, elsewhere="uid-b")

    assert not SectorCheck.objects.filter(is_good=False).exists()


def test_without_a_host_in_charge_the_next_head_tries_again() -> None:
    of = waiting()
    factories.sector(of, number=1, state="PROVING", store="elsewhere")
    factories.sector(of, number=2, state="PROVING", store="elsewhere")
    checks_begin(look(OneDeadline(), AHEAD))
    here = checker()
    assert looked(here, height=AHEAD + 1) == set()

    assert looked(checker("late", stores=["elsewhere"]), height=AHEAD + 2) == {1, 2}


def test_a_store_that_is_away_says_nothing_about_the_files() -> None:
    waiting()
    checker()
    checks_begin(look(OneDeadline(), AHEAD))
    Job.objects.update(state=JobState.FAILED, error="/store bears no store's mark: is its disk mounted?")

    checks_collect(look(OneDeadline(), AHEAD + 1))

    run = CheckRun.objects.get()
    assert (run.state, "mark" in run.error) == ("FAILED", True)
    assert not SectorCheck.objects.exists()
    checks_begin(look(OneDeadline(), AHEAD + 2))
    assert CheckRun.objects.filter(state="RUNNING").exists(), "nothing is known: it begins anew"


def test_a_check_that_failed_is_begun_anew_beside_one_that_was_done() -> None:
    of, host = waiting(), checker(stores=["a", "b"])
    for number, store in ((1, "a"), (2, "b")):
        factories.sector(of, number=number, state="PROVING", store=store)
    checks_begin(look(OneDeadline(), AHEAD))
    failed = CheckRun.objects.get(store="b")
    Job.objects.filter(check_run=failed).update(state=JobState.FAILED, error="the store went away")

    assert looked(host, height=AHEAD + 1) == {1}
    assert looked(host, height=AHEAD + 2) == {2}
    assert looked(host, height=AHEAD + 4) == set()

    assert dict(SectorCheck.objects.values_list("number", "is_good")) == {1: True, 2: True}
    assert Deadline.objects.get().checked_open == OPENS


def test_a_store_that_no_host_had_is_checked_once_one_has_it() -> None:
    of, host = waiting(), checker(stores=["a"])
    for number, store in ((1, "a"), (2, "b")):
        factories.sector(of, number=number, state="PROVING", store=store)
    assert looked(host, height=AHEAD) == {1}
    assert looked(host, height=AHEAD + 2) == set()
    assert Deadline.objects.get().stores == ["a", "b"]

    assert looked(checker("late", stores=["b"]), height=AHEAD + 4) == {2}

    assert Deadline.objects.get().checked_open == OPENS


def test_a_check_is_retried_at_intervals_not_at_each_head(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    of, host = waiting(), checker(stores=["a"])
    for number, store in ((1, "a"), (2, "b")):
        factories.sector(of, number=number, state="PROVING", store=store)
    checks_begin(look(OneDeadline(), AHEAD))
    Job.objects.update(state=JobState.FAILED, error="the store went away")
    checks_collect(look(OneDeadline(), AHEAD))
    between = look(OneDeadline(), AHEAD + 1)

    with django_assert_max_num_queries(3):  # no partitions, no sectors, no deletions
        checks_begin(between)

    assert list(CheckRun.objects.values_list("state", flat=True)) == ["FAILED"]
    assert looked(host, height=AHEAD + 2) == {1}


def test_a_check_that_fails_as_soon_as_it_has_begun_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting()
    host = checker()

    def fail_at_once(_change: object) -> None:
        Job.objects.update(state=JobState.FAILED, error="the store went away")
        monkeypatch.undo()
        checks_collect(look(OneDeadline(), AHEAD))

    monkeypatch.setattr(checks, "publish", fail_at_once)
    checks_begin(look(OneDeadline(), AHEAD))

    assert Deadline.objects.get().checked_open is None
    assert looked(host, height=AHEAD + 2) == {1, 2}


def test_a_kill_leaves_no_failed_check_that_nobody_begins_anew() -> None:
    waiting()
    host = checker()

    def play(kills: int) -> bool:
        checks_begin(look(OneDeadline(), AHEAD))
        Job.objects.update(state=JobState.FAILED, error="the store went away")
        was_killed = killed_writes(lambda: checks_collect(look(OneDeadline(), AHEAD)), after=kills)
        checks_collect(look(OneDeadline(), AHEAD))
        assert looked(host, height=AHEAD + 2) == {1, 2}
        return was_killed

    assert killed_everywhere(play) >= 2


def test_kill_anywhere_in_a_look_leaves_one_result() -> None:
    waiting()
    host = checker()

    def play(kills: int) -> bool:
        was_killed = killed_writes(lambda: checks_begin(look(OneDeadline(), AHEAD)), after=kills)
        assert looked(host, (2,), height=AHEAD) == {1, 2}
        assert CheckRun.objects.count() == 1
        return was_killed

    assert killed_everywhere(play) >= 2
