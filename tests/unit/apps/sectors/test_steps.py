"""What people do to sectors: pause, go on, go back, give up; and which sectors are active."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest

from apps.core.errors import WrongState
from apps.sectors.errors.sectors import CommitOnItsWay, NotPaused, PreCommitOnItsWay
from apps.sectors.models import Job, JobEvent, Sector, WorkerCommand
from apps.sectors.selectors.sector_waits import sector_wait
from apps.sectors.selectors.sectors import resume_choices
from apps.sectors.services.sealing.steps import sector_abort, sector_retry, sector_stop
from apps.sectors.states import BatchKind, JobState
from poolsite.wire.pipeline import NEXT_STAGE, Owner, SectorState
from tests import factories
from tests.unit.apps.sectors.sealing import NOON, claim, host

pytestmark = pytest.mark.django_db


def made(state: str, **data: Any) -> Sector:
    """A sector in `state`."""
    return factories.sector(factories.miner(), state=state, **data)


@pytest.mark.parametrize("state", [s for s, step in NEXT_STAGE.items() if step.owner is not Owner.NOBODY])
def test_a_paused_sector_goes_on_where_it_was(state: str) -> None:
    sector = made(state)
    sector_stop(sector, actor="ann", now=NOON)
    assert claim(host()) == ()

    sector = sector_retry(sector, actor="ann", now=NOON)

    expected = JobState.READY if NEXT_STAGE[state].owner is Owner.WORKER else JobState.WAITING
    assert (sector.state, sector.paused_at, Job.objects.get().state) == (state, None, expected)


@pytest.mark.parametrize(
    ("state", "back"), [(state, back) for state, step in NEXT_STAGE.items() for back in step.resume_at]
)
def test_a_paused_sector_goes_back_where_the_table_allows(state: str, back: str) -> None:
    sector = made(state, paused_at=NOON)
    assert back in resume_choices(sector)

    sector = sector_retry(sector, actor="ann", now=NOON, state=back)

    assert (sector.state, sector.paused_at) == (back, None)
    assert JobEvent.objects.get().actor == "ann"


def test_stage_that_hangs_is_ended_by_the_host_that_has_it() -> None:
    made("ALLOCATED")
    (job,) = claim(worker := host())

    sector = sector_stop(Sector.objects.get(), actor="ann", now=NOON, ends_stage=True)

    (order,) = WorkerCommand.objects.all()
    assert sector.paused_at == NOON
    assert (order.worker, order.op, order.args) == (
        worker,
        "end_stage",
        {"job": job.id, "token": str(job.token)},
    )
    assert JobEvent.objects.filter(event="END_STAGE", actor="ann", worker=worker).count() == 1


def test_stage_of_the_console_is_ended_by_no_host() -> None:
    sector = made("PRECOMMIT_LANDED")
    Job.objects.update(sticky_worker=host())

    assert sector_stop(sector, actor="ann", now=NOON, ends_stage=True).paused_at == NOON

    assert not WorkerCommand.objects.exists()


def test_stage_that_a_pause_left_running_is_ended_later() -> None:
    made("ALLOCATED")
    claim(worker := host())
    sector = sector_stop(Sector.objects.get(), actor="ann", now=NOON)
    assert not WorkerCommand.objects.exists(), "what it computes is kept"

    sector_stop(sector, actor="bob", now=NOON, ends_stage=True)

    assert [order.worker for order in WorkerCommand.objects.all()] == [worker]


def test_it_goes_nowhere_else() -> None:
    sector = made("PIECE_ADDED", paused_at=NOON)

    with pytest.raises(WrongState):
        sector_retry(sector, actor="ann", now=NOON, state="PROVING")

    sector.refresh_from_db()
    assert (sector.state, sector.paused_at) == ("PIECE_ADDED", NOON)


def test_only_a_paused_sector_is_retried() -> None:
    with pytest.raises(NotPaused):
        sector_retry(made("PC1_DONE"), actor="ann", now=NOON)


def test_a_sector_that_is_given_up_keeps_its_number_and_is_never_offered() -> None:
    sector = sector_abort(made("PC1_DONE"), actor="ann", reason="disk lost", now=NOON)

    assert (sector.state, Job.objects.get().state) == ("ABORTED", JobState.FAILED)
    assert claim(host()) == ()


@pytest.mark.parametrize(
    ("state", "nonce", "may_land"),
    [
        ("UNFILLED", None, True),
        ("FILLED", 3, True),
        ("LANDED", 2, True),
        ("FAILED", None, False),
        ("FAILED", 2, False),
        ("FAILED", 3, True),
    ],
)
def test_a_sector_whose_commit_may_land_is_not_given_up(
    state: str, nonce: int | None, *, may_land: bool
) -> None:
    sector = made("COMMIT_SENT")
    batch = factories.batch(sector.miner, BatchKind.COMMIT)
    type(sector).objects.filter(pk=sector.pk).update(commit_batch=batch)
    factories.sender(batch.sender, chain_nonce=3)
    way = {"from_addr": batch.sender, "to": sector.miner.address}
    factories.message(batch.message_id, state=state, nonce=nonce, **way)

    with pytest.raises(CommitOnItsWay) if may_land else nullcontext():
        sector_abort(sector, actor="ann", reason="x", now=NOON)

    sector.refresh_from_db()
    assert sector.state == ("COMMIT_SENT" if may_land else "ABORTED")


def test_another_ticket_waits_for_the_pre_commit_that_may_land() -> None:
    sector = made("PERSISTED", paused_at=NOON)
    batch = factories.batch(sector.miner, BatchKind.PRE_COMMIT)
    type(sector).objects.filter(pk=sector.pk).update(precommit_batch=batch)
    factories.sender(batch.sender, chain_nonce=3)
    factories.message(batch.message_id, from_addr=batch.sender, state="FAILED", nonce=3)

    with pytest.raises(PreCommitOnItsWay):
        sector_retry(sector, actor="ann", now=NOON, state="ALLOCATED")
    factories.sender(batch.sender, chain_nonce=4)
    assert sector_retry(sector, actor="ann", now=NOON, state="ALLOCATED").state == "ALLOCATED"


@pytest.mark.parametrize("state", ["COMMIT_LANDED", "PROVING"])
def test_a_sector_that_the_chain_has_proven_is_not_given_up(state: str) -> None:
    with pytest.raises(WrongState):
        sector_abort(made(state), actor="ann", reason="x", now=NOON)


@pytest.mark.parametrize(
    ("state", "data", "what", "epoch"),
    [
        ("ALLOCATED", {}, "a worker with a free slot", None),
        ("TREE_D_BUILT", {}, "a ticket from the next head", None),
        ("PERSISTED", {"ready_height": 50}, "a batch", 70),
        ("PRECOMMIT_SENT", {}, "the pre-commit to land", None),
        ("PRECOMMIT_LANDED", {"precommit_epoch": 50}, "the seed", 53),
        ("COMMIT_SENT", {}, "the commit to land", None),
        ("PC1_DONE", {"paused_at": NOON}, "a decision: retry, go back or abort", None),
        (
            "PC1_DONE",
            {"not_before": NOON + timedelta(seconds=20), "error": "the disk is full"},
            "its next attempt at 12:00:20 UTC; the last one failed: the disk is full",
            None,
        ),
    ],
)
def test_the_page_says_what_a_sector_waits_for(
    state: str, data: dict[str, Any], what: str, epoch: int | None
) -> None:
    wait = sector_wait(made(state, **data), height=51, challenge_delay=2, seed_confidence=1, now=NOON)

    assert wait is not None
    assert (wait.what, wait.until_epoch) == (what, epoch)


@pytest.mark.parametrize(
    ("box", "what"),
    [
        ({"seen_at": NOON}, "a worker with a free slot"),
        (
            {"seen_at": NOON - timedelta(minutes=5)},
            "its host box, last seen 11:55:00 UTC: no other has its files; retire it if it is gone",
        ),
        (
            {"seen_at": NOON, "is_paused": True},
            "its host box, which is paused: no other has its files",
        ),
    ],
)
def test_a_sector_whose_files_lie_on_one_host_waits_for_that_one(box: dict[str, Any], what: str) -> None:
    sector = made(SectorState.PC1_DONE)
    Job.objects.update(sticky_worker=factories.worker("box", **box))
    sector.refresh_from_db()

    wait = sector_wait(sector, height=51, challenge_delay=2, seed_confidence=1, now=NOON)

    assert wait is not None
    assert wait.what == what


def test_a_landed_sector_whose_host_reads_no_store_says_so() -> None:
    sector = made(SectorState.COMMIT_LANDED)
    box = factories.worker("box", seen_at=NOON, stores=[])
    Job.objects.update(sticky_worker=box)
    sector.refresh_from_db()

    wait = sector_wait(sector, height=51, challenge_delay=2, seed_confidence=1, now=NOON)

    assert wait is not None
    assert wait.is_odd
    assert wait.what == (
        "a store: its host box can read none now; bring one back or attach another (Storage page)"
    )


def test_a_finished_sector_waits_for_nothing() -> None:
    sector = made(SectorState.PROVING)

    assert sector_wait(sector, height=51, challenge_delay=2, seed_confidence=1, now=NOON) is None
