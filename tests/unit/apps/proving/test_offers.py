"""A proof is offered to hosts that read all of its stores, and to another one after a failure."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.miners.models import Miner
from apps.proving.errors import CheckUnavailable
from apps.proving.models import CheckRun, Deadline, Recovery, SectorCheck, WindowPost
from apps.proving.services import recoveries
from apps.proving.services.check_results import checks_collect
from apps.proving.services.offers import offer_find
from apps.proving.services.posts import posts_advance
from apps.proving.services.preconditions import readiness_check, unmet_preconditions_find
from apps.proving.services.recoveries import recoveries_advance
from apps.proving.services.recovery_schedule import recoveries_begin
from apps.proving.services.trials import deadline_dry_run
from apps.proving.states import PostState
from apps.sectors.models import DAMOCLES, Job, Worker
from apps.sectors.rules.hardware import PLANS
from apps.sectors.states import JobState
from poolsite.wire.job_reports import Level
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.people import principal
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.hanging import CHALLENGED, fresh, gives_up, hands_in, prover, taken, takes
from tests.unit.apps.proving.rescues import NETWORK, faulty, look, miner, post
from tests.unit.apps.proving.retries import asked, proving, sent, words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("every_proof_is_right", "time_stands_still")]


def stored(of: Miner, *stores: str) -> None:
    """Write in which stores the sectors 1, 2 … lie."""
    for number, store in enumerate(stores, start=1):
        factories.sector(of, state="PROVING", number=number, store=store, active=True)


def proof_job() -> Job:
    """The one job of a proof."""
    return Job.objects.get(kind=JobKind.WINDOW_POST)


def moved(row: WindowPost, height: int = CHALLENGED, *, later_s: float = 0) -> WindowPost:
    """One pass over the proofs."""
    posts_advance(look(OneDeadline(), height, later_s=later_s))
    return fresh(row)


@pytest.mark.parametrize("stores", [("y", "y"), ("x", "y")])
def test_a_host_without_all_stores_is_not_asked(stores: tuple[str, str]) -> None:
    row = proving([0])
    stored(row.miner, *stores)
    near, far = prover("near", stores=["x"]), prover("far", stores=["x", "y"])

    moved(row)
    assert taken(near) is None
    hands_in(takes(far))

    row = moved(row, 961)
    assert (row.state, sent(row)) == (PostState.SENT, {0: []})


def test_any_host_is_asked_where_none_has_all_stores_or_every_one_has() -> None:
    row = proving([0])
    stored(row.miner, "x", "y")
    prover("first", stores=["x"])
    prover("second", stores=["y"])
    moved(row)
    assert proof_job().offered_to is None

    proof_job().delete()
    Worker.objects.update(stores=["x", "y"])
    moved(row)
    assert proof_job().offered_to is None


def test_with_a_store_lost_the_host_that_reads_most_is_asked() -> None:
    row = proving([0])
    stored(row.miner, "x", "lost")
    near, far = prover("near", stores=["z"]), prover("far", stores=["x", "z"])
    moved(row)
    assert proof_job().offered_to == [far.pk]

    moved(row, CHALLENGED + 2, later_s=2 * NETWORK.epoch_s + 1)
    hands_in(takes(near), faults=(1, 2))
    row = moved(row, CHALLENGED + 2)
    assert row.skipped == {}
    assert words(row) == ["near cannot read any of the sectors"]
    assert not SectorCheck.objects.exists(), "that says nothing of their files"

    moved(row, CHALLENGED + 3)
    hands_in(takes(far), faults=(2,))
    assert moved(row, CHALLENGED + 3).skipped == {"0": [2]}


def test_of_hosts_that_each_read_a_part_one_that_fails_is_followed() -> None:
    row = proving([0])
    stored(row.miner, "x", "x", "y", "lost")
    chain = OneDeadline()
    most, some = prover("most", stores=["x"]), prover("some", stores=["y"])
    prover("none", stores=["z"])

    def offered(*failed: Worker) -> list[int] | None:
        failures = Counter(host.pk for host in failed)
        return offer_find(row.miner, numbers={1, 2, 3, 4}, failures=failures, context=look(chain))

    assert offered() == [most.pk]
    assert offered(most) == [some.pk]
    assert offered(most, some) == [most.pk]


def test_after_a_failure_another_host_is_asked() -> None:
    row = proving([0])
    near, far = prover("near"), prover("far")
    moved(row)
    gives_up(takes(near))

    moved(row, CHALLENGED + 1)

    assert taken(near) is None
    hands_in(takes(far))
    assert moved(row, 961).state == PostState.SENT


def test_a_job_that_a_host_gives_back_goes_to_another() -> None:
    row = proving([0])
    near, far = prover("near"), prover("far")
    moved(row)
    gives_up(takes(near), Level.TEMPORARY)
    Job.objects.update(not_before=None)

    moved(row, CHALLENGED + 1)

    assert taken(near) is None
    assert taken(far) is not None


def test_the_host_that_failed_least_is_asked_once_all_have_failed() -> None:
    row = proving([0])
    near, far = prover("near"), prover("far")
    for host in (near, far, near):
        moved(row)
        WindowPost.objects.update(try_epoch=None)
        moved(row)
        gives_up(takes(host))

    moved(row)
    WindowPost.objects.update(try_epoch=None)
    moved(row)

    assert taken(near) is None
    assert taken(far) is not None


def test_a_host_that_can_read_nothing_does_not_decide_alone() -> None:
    row = proving([0])
    near, far = prover("near"), prover("far")
    moved(row)
    hands_in(takes(near), faults=(1, 2))

    row = moved(row)
    assert (row.state, row.skipped) == (PostState.PROVING, {})
    assert words(row) == ["near cannot read any of the sectors"]

    moved(row)
    hands_in(takes(far), faults=(1, 2))
    assert moved(row).skipped == {"0": [1, 2]}


def test_a_host_that_is_gone_or_does_not_come_is_not_waited_for() -> None:
    row = proving([0])
    stored(row.miner, "y", "y")
    near, far = prover("near", stores=["x"]), prover("far", stores=["y"])
    moved(row)
    assert proof_job().offered_to == [far.pk]

    moved(row, CHALLENGED + 2, later_s=2 * NETWORK.epoch_s + 1)
    assert taken(near) is not None

    Job.objects.filter(pk=proof_job().pk).update(state=JobState.READY, worker=None, offered_to=[far.pk])
    Worker.objects.filter(pk=far.pk).update(is_paused=True)
    moved(row, CHALLENGED + 1)
    assert taken(near) is not None


def test_sectors_left_out_are_checked_by_a_host_with_their_store() -> None:
    row = post(miner(), partitions=[0], skipped={"0": [2]})
    stored(row.miner, "x", "y")
    near, far = prover("near", stores=["x"]), prover("far", stores=["x", "y"])

    moved(row)

    assert asked(proof_job()) == {2}
    assert taken(near) is None
    assert taken(far) is not None


def test_faulty_sectors_are_checked_by_a_host_with_their_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoveries, "proof_check", lambda _job: None)
    of = miner()
    faulty(of)
    stored(of, "y", "y")
    near, far = prover("near", stores=["x"]), prover("far", stores=["y"])

    recoveries_begin(of, context=look(OneDeadline()))
    assert taken(near) is None
    recoveries_advance(look(OneDeadline(), later_s=2 * NETWORK.epoch_s + 1))
    assert proof_job().offered_to is None, "nobody came for it"

    hands_in(takes(far))
    recoveries_advance(look(OneDeadline(), 962))
    assert Recovery.objects.get().state == "SENT"


def test_damocles_workers_that_prove_are_asked_too() -> None:
    row = proving([0])
    stored(row.miner, "y", "y")
    prover("near", stores=["x"])
    plans = {PLANS: {str(JobKind.WINDOW_POST): clock.now().timestamp()}}
    other = factories.worker("damocles", kinds=[DAMOCLES], hardware=plans)
    factories.worker("sealing only", kinds=[DAMOCLES])

    moved(row)

    assert proof_job().offered_to == [other.pk]


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ([["x"], ["x", "y"]], None),
        ([["x"]], "no prover assigned to it has the store y"),
        ([["x"], ["y"]], "no prover assigned to it has all of its stores: x, y"),
    ],
)
def test_stores_of_a_window_are_there_if_one_host_has_them_all(
    hosts: list[list[str]], text: str | None
) -> None:
    of = miner()
    for number, stores in enumerate(hosts):
        prover(f"p{number}", stores=stores)
    Deadline.objects.update(stores=["x", "y"])

    readiness = readiness_check(of, context=look(OneDeadline()))

    assert unmet_preconditions_find(Deadline.objects.get(), readiness=readiness).get("store") == text


def test_the_rest_is_asked_of_the_one_host_with_the_store() -> None:
    row = proving([0])
    stored(row.miner, "x", "x")
    able, other = prover("able", stores=["x"]), prover("other", stores=["y"])
    moved(row)
    hands_in(takes(able), faults=(2,))

    moved(row)

    assert taken(other) is None
    job = takes(able)
    assert asked(Job.objects.get(uuid=job.id)) == {1}
    hands_in(job)
    row = moved(row)
    assert (row.state, row.skipped) == (PostState.PROVED, {"0": [2]})
    moved(row)
    assert taken(other) is None, "what is left out lies in the store of the same host"
    assert taken(able) is not None


def test_each_part_of_stores_on_two_hosts_goes_to_its_own_host() -> None:
    row = proving([0])
    stored(row.miner, "x", "y")
    first, second = prover("first", stores=["x"]), prover("second", stores=["y"])
    moved(row)
    hands_in(takes(first), faults=(2,))

    moved(row)

    assert taken(second) is None
    hands_in(takes(first))
    row = moved(row)
    assert (row.state, row.skipped) == (PostState.PROVED, {"0": [2]})
    moved(row)
    assert taken(first) is None
    assert taken(second) is not None


def test_failures_are_not_counted_for_a_job_that_keeps_its_offer() -> None:
    proving([0])
    post(miner(), partitions=[0], skipped={"0": [2]})
    of, context = miner(), look(OneDeadline())
    faulty(of)
    posts_advance(context)
    recoveries_begin(of, context=context)
    recoveries_advance(context)
    assert [(row.state, row.offered_to) for row in Job.objects.all()] == [(JobState.READY, None)] * 3

    with CaptureQueriesContext(connection) as queries:
        posts_advance(context)
        recoveries_advance(context)

    assert not [one["sql"] for one in queries.captured_queries if "sectors_jobevent" in one["sql"]]


def test_a_dry_run_of_one_partition_holds_up_no_other() -> None:
    of, chain = miner(), OneDeadline(partitions=[[1], [2]])
    facts: dict[str, Any] = {"index": 0, "principal": principal(), "context": look(chain)}
    deadline_dry_run(of, only=0, **facts)

    deadline_dry_run(of, only=1, **facts)

    assert sorted(run.partitions for run in CheckRun.objects.all()) == [[0], [1]]
    for only in (1, None):
        with pytest.raises(CheckUnavailable, match="one is already running"):
            deadline_dry_run(of, only=only, **facts)


def test_a_dry_run_goes_to_another_host_once_its_own_is_gone() -> None:
    of = miner()
    stored(of, "y", "y")
    near, far = prover("near", stores=["x"]), prover("far", stores=["y"])
    deadline_dry_run(of, index=0, principal=principal(), context=look(OneDeadline()))
    assert proof_job().offered_to == [far.pk]
    assert taken(near) is None

    Worker.objects.filter(pk=far.pk).update(is_paused=True)
    checks_collect(look(OneDeadline()))

    assert taken(near) is not None
    assert CheckRun.objects.get().state == "RUNNING"
