"""A host that makes no progress and renews its lease costs no window: another proves, one message goes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.proving.selectors.forecast import ForecastContext, forecast_of
from apps.proving.services import jobs, proofs
from apps.proving.services.jobs import BadProof
from apps.proving.states import AttemptKind, Forecast, PostState
from apps.sectors.errors.jobs import LeaseLost
from apps.sectors.models import Job, Worker
from apps.sectors.services.jobs.leases import leases_sweep
from apps.sectors.states import JobState
from poolsite.wire.jobs import Assignment, JobKind
from tests import factories
from tests.unit.apps.proving.attempts import attempts, job_of, stall_of
from tests.unit.apps.proving.hanging import (
    CHALLENGED,
    LAST,
    STALLED,
    Scene,
    beats,
    fresh,
    gives_up,
    hands_in,
    prover,
    state_of,
    taken,
    takes,
)
from tests.unit.apps.proving.rescues import CLOSE
from tests.unit.apps.proving.retries import words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("every_proof_is_right", "time_stands_still")]

BACKUP = AttemptKind.BACKUP


# Another host


def test_what_hangs_on_one_host_is_proved_by_another() -> None:
    scene = Scene("well")
    scene.passes(STALLED - 1)
    assert taken(scene.others[0]) is None, "no proof is begun twice too early"

    second = scene.relieved()
    hands_in(second, b"of the other")

    row = scene.lands()
    assert bytes(row.proof or b"") == b"of the other"
    assert state_of(scene.first) == JobState.FAILED
    assert attempts(row) == [("FIRST", "CANCELLED"), ("BACKUP", "USED")]
    assert words(row) == [
        "no progress on ill since epoch 958 (0 of 2 sectors): offered to well",
        "using the proof from well",
    ]


def test_late_result_of_the_first_host_is_refused() -> None:
    scene = Scene("well")
    hands_in(scene.relieved())
    row = scene.lands()

    with pytest.raises(LeaseLost):
        hands_in(scene.first, b"late")

    assert not beats(scene.ill, scene.first), "it hears that it may stop"
    scene.passes(963)
    assert (fresh(row).messages_sent, bytes(fresh(row).proof or b"")) == (1, b"proof")


def test_the_late_result_of_the_first_host_is_taken_while_it_is_wanted() -> None:
    scene = Scene("well")
    second = scene.relieved()

    hands_in(scene.first, b"late")

    assert bytes(scene.lands().proof or b"") == b"late"
    with pytest.raises(LeaseLost):
        hands_in(second)


def test_of_two_proofs_within_one_pass_one_is_sent() -> None:
    scene = Scene("well")
    second = scene.relieved()

    hands_in(scene.first, b"first")
    hands_in(second, b"second")

    scene.lands()
    scene.passes(963)
    assert Message.objects.filter(kind="window_post").count() == 1


def test_a_host_that_is_slow_and_tells_of_progress_is_waited_for() -> None:
    scene = Scene("well")
    for passed, height in enumerate(range(CHALLENGED + 1, 965), start=1):
        assert beats(scene.ill, scene.first, read=passed, total=7)
        assert job_of(scene.passes(height), BACKUP) is None
        assert taken(scene.others[0]) is None

    hands_in(scene.first)

    assert attempts(scene.lands(965)) == [("FIRST", "USED")]


def test_a_host_that_tells_the_same_again_and_again_does_not_move() -> None:
    scene = Scene("well")
    assert beats(scene.ill, scene.first, read=1)
    for height in (959, 960, 961):
        assert beats(scene.ill, scene.first, read=height % 2)
        scene.passes(height)

    assert Job.objects.get(uuid=scene.first.id).progress_done == 1
    assert taken(scene.others[0]) is not None


def test_the_other_host_is_asked_once_however_often_it_is_looked() -> None:
    scene = Scene("well", "fallback")

    for _ in range(3):
        scene.passes(STALLED)

    assert Job.objects.count() == 2
    takes(scene.others[1])
    assert [taken(host) for host in (scene.ill, *scene.others)] == [None, None, None]


@pytest.mark.parametrize(
    "facts",
    [
        {"stores": ["another"]},
        {"is_paused": True},
        {"kinds": [JobKind.SEAL]},
        {"of": "bob"},
    ],
)
def test_who_cannot_prove_it_is_not_asked(facts: dict[str, Any]) -> None:
    scene = Scene()
    other = factories.worker("other", **{"kinds": [JobKind.WINDOW_POST], "stores": ["store-1"], **facts})

    row = scene.passes(STALLED)

    assert (job_of(row, BACKUP), taken(other)) == (None, None)


def test_the_pages_say_who_stands_still_and_who_was_asked() -> None:
    scene = Scene("well")
    scene.relieved()

    row = scene.passes(STALLED)

    why = "no progress on ill since epoch 958 (0 of 2 sectors); also running on well"
    assert stall_of(row) == why
    deadline = row.miner.deadlines.get()
    judged = ForecastContext(height=STALLED, window=10, provers=2, message_waits={})
    assert forecast_of(deadline, [row], judged) == (Forecast.AT_RISK, f"partition 0: {why}")


# What becomes of the two attempts


def test_unclaimed_backup_job_is_cancelled_when_first_prover_resumes() -> None:
    scene = Scene("well")
    offer = job_of(scene.passes(STALLED), BACKUP)
    assert offer is not None

    assert beats(scene.ill, scene.first, read=1)
    row = scene.passes(STALLED)

    offer.refresh_from_db()
    assert (job_of(row, BACKUP), stall_of(row), offer.state) == (None, "", JobState.FAILED)
    assert taken(scene.others[0]) is None
    hands_in(scene.first)
    scene.lands()


def test_an_offer_follows_who_is_there() -> None:
    scene = Scene("well")
    scene.passes(STALLED)
    Worker.objects.filter(name="well").update(is_paused=True)
    late = prover("late")

    scene.passes(STALLED)
    hands_in(takes(late))

    scene.lands()


def test_an_offer_that_nobody_takes_is_the_first_host_s_too() -> None:
    scene = Scene("busy")
    scene.passes(STALLED)
    scene.passes(962)
    assert beats(scene.ill, scene.first), "up to half of its time it may come back"

    scene.passes(963)

    assert not beats(scene.ill, scene.first)
    hands_in(takes(scene.ill))
    scene.lands(964)
    assert words(scene.row)[-1] == (
        "no progress on ill since epoch 958 (0 of 2 sectors): no other prover claimed it, now offered to all"
    )


@pytest.mark.parametrize("ends", ["gives up", "wrong proof", "reads nothing"])
def test_when_the_other_host_fails_the_first_is_waited_for(
    ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene("well")
    second = scene.relieved()
    if ends == "gives up":
        gives_up(second)
    elif ends == "reads nothing":
        hands_in(second, faults=(1, 2))
    else:
        hands_in(second, b"bad")

        def check(job: Job) -> None:
            if bytes(job.proof or b"") == b"bad":
                raise BadProof("wrong")

        monkeypatch.setattr(proofs, "proof_check", check)

    row = scene.passes(STALLED)
    assert row.state == PostState.PROVING
    job = job_of(row)
    assert job is not None
    assert (str(job.uuid), row.tries) == (scene.first.id, 1)

    hands_in(scene.first)
    scene.lands()


def test_the_other_host_is_asked_again_after_a_failure() -> None:
    scene = Scene("well")
    gives_up(scene.relieved())
    scene.passes(STALLED)

    hands_in(takes(scene.others[0]))

    scene.lands()


def test_sectors_that_the_other_host_cannot_read_are_left_out_by_both() -> None:
    scene = Scene("well")
    hands_in(scene.relieved(), faults=(2,))

    row = scene.passes(STALLED)

    assert (row.skipped, job_of(row, BACKUP)) == ({"0": [2]}, None)
    with pytest.raises(LeaseLost):
        hands_in(scene.first)
    job = job_of(row)
    assert job is not None
    assert {sector["number"] for sector in job.inputs["sectors"]} == {1}


def lease_ends(*jobs: Assignment) -> None:
    """Nothing is heard of these jobs' hosts any more."""
    Job.objects.filter(uuid__in=[job.id for job in jobs]).update(lease_until=clock.now())
    leases_sweep(now=clock.now() + timedelta(seconds=1))


def test_when_the_first_host_dies_the_other_goes_on_alone() -> None:
    scene = Scene("well")
    second = scene.relieved()
    lease_ends(scene.first)

    row = scene.passes(STALLED)

    job = job_of(row)
    assert job is not None
    assert (str(job.uuid), job_of(row, BACKUP), taken(scene.ill)) == (second.id, None, None)
    hands_in(second)
    scene.lands()


def test_backup_offer_survives_the_first_hosts_unswept_lease() -> None:
    scene = Scene("well")
    scene.passes(STALLED)
    Job.objects.filter(uuid=scene.first.id).update(lease_until=clock.now())

    row = scene.passes(STALLED)

    assert job_of(row, BACKUP) is not None
    assert "ill goes on" not in words(row)
    hands_in(takes(scene.others[0]))
    scene.lands()


def test_when_both_hosts_die_anybody_may_prove() -> None:
    scene = Scene("well")
    lease_ends(scene.first, scene.relieved())
    scene.passes(STALLED)

    hands_in(takes(scene.ill))

    scene.lands()


def test_of_three_hosts_the_third_proves_when_two_hang() -> None:
    scene = Scene("well", "third")
    second = scene.relieved()
    for height in range(962, 967):
        scene.passes(height)
        for host, job in ((scene.ill, scene.first), (scene.others[0], second)):
            beats(host, job)
    third = takes(scene.others[1])

    hands_in(third)

    scene.lands(966)


@pytest.mark.parametrize("event", ["reorganised", "closed"])
def test_what_ends_a_proof_ends_both_attempts(event: str) -> None:
    scene = Scene("well")
    second = scene.relieved()
    scene.chain.beacon = b"c" * 32 if event == "reorganised" else scene.chain.beacon

    row = scene.passes(CLOSE if event == "closed" else 962)

    assert row.state == (PostState.MISSED if event == "closed" else PostState.PROVING)
    assert {state_of(scene.first), state_of(second)} == {JobState.FAILED}


# One host


def test_a_host_that_stands_still_alone_is_asked_anew_by_a_job_of_its_own() -> None:
    scene = Scene()
    for height in range(CHALLENGED, 963):
        scene.passes(height)
    assert beats(scene.ill, scene.first), "up to half of its time it may come back"

    row = scene.passes(963)

    assert not beats(scene.ill, scene.first), "it hears that this attempt is over"
    with pytest.raises(LeaseLost):
        hands_in(scene.first)
    assert "no progress on ill since epoch 958 (0 of 2 sectors): cancelled and offered again" in words(row)
    hands_in(takes(scene.ill))
    scene.lands(964)


def test_a_host_that_counts_nothing_is_not_told_to_begin_anew() -> None:
    scene = Scene()
    Job.objects.filter(uuid=scene.first.id).update(progress_unit="")
    for height in range(CHALLENGED, 966):
        beats(scene.ill, scene.first, unit="")
        row = scene.passes(height)

    assert (
        stall_of(row)
        == "no progress reported by ill since epoch 958: no other prover with its store is connected"
    )
    hands_in(scene.first)
    scene.lands(966)


def test_a_host_that_ended_while_it_was_given_up_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    drop = jobs.job_cancel

    def drops_late(job: Job | None, **data: Any) -> None:
        if job is not None and state_of(scene.first) == JobState.LEASED:
            hands_in(scene.first)
        drop(job, **data)

    monkeypatch.setattr("apps.proving.services.attempts.job_cancel", drops_late)
    scene.passes(963)

    scene.lands(963)


def test_nothing_is_begun_beside_in_the_last_epochs() -> None:
    scene = Scene()
    beats(scene.ill, scene.first, unit="")
    scene.others = [prover("well")]

    row = scene.passes(LAST + 1)

    assert job_of(row, BACKUP) is None
