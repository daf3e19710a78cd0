"""The proofs of many miners: moved in shares by whichever task process is free, and together in each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection, transaction

from apps.chain.errors import NodeUnavailable
from apps.messages.models import Message
from apps.messages.services.push import messages_push_batch
from apps.miners.models import Miner
from apps.proving import tasks
from apps.proving.models import ProofAttempt, WindowPost
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services import posts, submissions
from apps.proving.services.posts import posts_advance
from apps.proving.services.proofs import posts_prove
from apps.proving.states import AttemptKind, PostState
from apps.sectors.models import Job
from tests import factories
from tests.killed_writes import killed_writes
from tests.unit.apps.proving.attempts import job_of
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look, miner
from tests.unit.apps.proving.retries import done, proving
from tests.waiting import until

MANY = 5


class Sent:
    """Stands where Celery is: keeps what is sent, or takes nothing."""

    def __init__(self, *, takes: int = 100) -> None:
        self.takes = takes
        self.shares: list[dict[str, Any]] = []

    def send_task(self, name: str, *, kwargs: dict[str, Any], **how: Any) -> None:
        """Keep it.  Raises OSError once it has taken enough."""
        if len(self.shares) == self.takes:
            raise OSError("the broker is away")
        assert (name, how["queue"], how["expires"]) == ("proving.share", "proving", 1)
        self.shares.append(kwargs)


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch, every_proof_is_right: None) -> OneDeadline:  # used
    """A chain that the tasks ask, in shares of two miners."""
    of = OneDeadline()

    def context() -> ProvingContext:
        return look(of)

    monkeypatch.setattr(tasks, "proving_context", context)
    monkeypatch.setattr(tasks, "SHARE_MINERS", 2)
    return of


def states() -> list[str]:
    """The states of all proofs."""
    return sorted(WindowPost.objects.values_list("state", flat=True))


def ended() -> None:
    """Provers end all jobs."""
    for job in Job.objects.all():
        done(job)


def submit() -> None:
    """What a head sends."""
    tasks.proving_submit(height=961, key="")


@pytest.mark.django_db
@pytest.mark.usefixtures("chain")
def test_miners_beyond_a_share_are_left_to_other_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(MANY):
        miner()
    sent = Sent()
    monkeypatch.setattr(tasks, "current_app", sent)

    submit()
    assert Job.objects.count() == 2
    assert [len(share["miners"]) for share in sent.shares] == [2, 1]
    for share in sent.shares * 2:  # a broker may hand one out twice
        tasks.proving_share(**share)
    assert (Job.objects.count(), ProofAttempt.objects.count()) == (MANY, MANY)

    ended()
    sent.shares.clear()
    submit()
    for share in sent.shares * 2:
        tasks.proving_share(**share)
    assert states() == ["SENT"] * MANY
    assert Message.objects.filter(kind="window_post").count() == MANY


@pytest.mark.django_db
@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("takes", [0, 1])
def test_what_the_broker_does_not_take_is_done_here(monkeypatch: pytest.MonkeyPatch, takes: int) -> None:
    for _ in range(MANY):
        proving([0])
    sent = Sent(takes=takes)
    monkeypatch.setattr(tasks, "current_app", sent)

    submit()

    assert Job.objects.count() == MANY - 2 * takes


@pytest.mark.django_db
@pytest.mark.usefixtures("chain")
def test_a_finished_job_moves_its_miners_proof_alone() -> None:
    rows = [proving([0]) for _ in range(MANY)]
    submit_all()
    ended()

    job = job_of(rows[1], AttemptKind.FIRST)
    assert job is not None
    tasks.proving_accept(job=str(job.uuid))
    tasks.proving_accept(job=str(rows[1].uuid))  # nobody's job

    assert states() == ["PROVING"] * (MANY - 1) + ["SENT"]
    rows[1].refresh_from_db()
    assert rows[1].state == PostState.SENT


def submit_all() -> None:
    """Move all proofs at once."""
    posts_advance(look(OneDeadline()))


@pytest.mark.django_db
@pytest.mark.usefixtures("every_proof_is_right")
@pytest.mark.parametrize("is_made", [False, True])
def test_a_kill_at_any_write_loses_no_proof_and_sends_none_twice(is_made: bool) -> None:
    for _ in range(3):
        proving([0])
    if is_made:
        submit_all()
        ended()
    after = 0
    while killed_writes(submit_all, after=after):
        after += 1
        submit_all()
        assert Job.objects.count() == ProofAttempt.objects.count() == 3
        assert Message.objects.filter(kind="window_post").count() == (3 if is_made else 0)
        assert states() == ["SENT" if is_made else "PROVING"] * 3
        reset(is_made)
    assert after > 3


def reset(is_made: bool) -> None:
    """Put everything back to where the kills begin."""
    Message.objects.all().delete()
    ProofAttempt.objects.all().delete()
    Job.objects.all().delete()
    WindowPost.objects.update(state=PostState.PROVING, proof=None, message_id="", messages_sent=0)
    if is_made:
        submit_all()
        ended()


@pytest.mark.django_db
@pytest.mark.usefixtures("every_proof_is_right")
def test_one_refused_message_keeps_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [proving([0]) for _ in range(3)]
    submit_all()
    ended()
    whole = messages_push_batch
    monkeypatch.setattr(
        submissions,
        "messages_push_batch",
        lambda requests: [
            NodeUnavailable("away") if item.to == rows[1].miner.address else answer
            for (_, item), answer in zip(requests, whole(requests), strict=True)
        ],
    )

    submit_all()

    assert states() == ["PROVED", "SENT", "SENT"]
    rows[1].refresh_from_db()
    assert (rows[1].state, rows[1].error) == ("PROVED", "away")


@pytest.mark.django_db
@pytest.mark.usefixtures("every_proof_is_right")
def test_a_proof_that_another_task_moved_keeps_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [proving([0]) for _ in range(3)]
    submit_all()
    ended()
    whole = posts_prove

    def prove(going: Sequence[WindowPost], **how: Any) -> None:
        WindowPost.objects.filter(pk=rows[1].pk).update(state=PostState.MISSED)
        whole(going, **how)

    monkeypatch.setattr(posts, "posts_prove", prove)

    submit_all()

    assert states() == ["MISSED", "SENT", "SENT"]


class OneHangs(OneDeadline):
    """A chain that answers nothing about one miner until it is let go."""

    address = ""

    go_on: threading.Event

    def read_ahead(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Wait."""
        if any(params[0] == self.address for _, params in calls):
            assert self.go_on.wait(30)
            raise NodeUnavailable("no response within 30 s")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("every_proof_is_right")
def test_a_hanging_call_about_one_miner_holds_up_no_other() -> None:
    rows = [proving([0]) for _ in range(3)]
    waiting = miner()
    submit_all()
    ended()
    of = OneHangs()
    of.address, of.go_on = rows[0].miner.address, threading.Event()
    context = look(of)

    def work() -> None:
        try:
            posts_advance(context, windows={waiting: []})
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(600):
        if states().count("SENT") == 2:
            break
        thread.join(0.05)
    assert states() == ["PROVING", "SENT", "SENT"]
    assert thread.is_alive(), "the call still hangs"
    of.go_on.set()
    thread.join(30)

    assert states() == ["PROVING", "SENT", "SENT"]
    factories.head(962)
    submit_all()
    assert states() == ["SENT"] * 3


def others_wait(cursor: Any) -> bool:
    """Return whether somebody waits for a lock."""
    cursor.execute("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
    return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("chain")
def test_miners_that_another_locks_the_other_way_round_get_their_proofs() -> None:
    """As one statement does that writes many miners: it locks them in the order in which it finds them."""
    first, second = sorted((miner(), miner()), key=lambda one: one.pk)
    has_second = threading.Event()

    def cross() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL deadlock_timeout = '60s'")  # the other one is ended
                Miner.objects.filter(pk=second.pk).update(refreshed_height=1)
                has_second.set()
                until(lambda: others_wait(cursor))
                Miner.objects.filter(pk=first.pk).update(refreshed_height=1)
        finally:
            connection.close()

    thread = threading.Thread(target=cross)
    thread.start()
    assert has_second.wait(30)
    submit()
    thread.join(30)

    assert Job.objects.count() == 2
