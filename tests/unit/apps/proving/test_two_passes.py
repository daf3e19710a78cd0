"""A head and a prover that has just ended each have the proofs moved: one pass at a time has one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from apps.core.locks import try_lock
from apps.messages.models import Message
from apps.proving.models import WindowPost
from apps.proving.services import posts, proof_orders, proofs
from apps.proving.services.backup_prover import backup_monitor
from apps.proving.services.posts import posts_advance
from apps.proving.states import AttemptKind, PostState
from tests.unit.apps.proving.attempts import job_of
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.hanging import fresh
from tests.unit.apps.proving.rescues import look
from tests.unit.apps.proving.retries import done, proving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the log says of proofs that could not be moved."""
    lines: list[Any] = []
    monkeypatch.setattr(
        "apps.chain.node.isolation.log.warning", lambda event, **data: lines.append((event, data))
    )
    return lines


def beside(act: Callable[[], None]) -> threading.Thread:
    """Do something in a thread with a connection of its own."""

    def work() -> None:
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_finished_proof_is_checked_and_sent_by_one_pass(
    monkeypatch: pytest.MonkeyPatch, lost: list[Any]
) -> None:
    row, chain = proving([0]), OneDeadline()
    posts_advance(look(chain))
    done(job_of(row, AttemptKind.FIRST))
    here, go_on = threading.Event(), threading.Event()
    checked = []

    def check(job: Any) -> None:
        checked.append(job.pk)
        here.set()
        assert go_on.wait(30)

    monkeypatch.setattr(proofs, "proof_check", check)
    first = beside(lambda: posts_advance(look(chain, 961)))
    assert here.wait(30)
    second = beside(lambda: posts_advance(look(chain, 962)))
    second.join(1.0)
    go_on.set()
    for thread in (first, second):
        thread.join(30)

    assert (len(checked), lost) == (1, [])
    assert fresh(row).state == PostState.SENT
    assert Message.objects.filter(kind="window_post").count() == 1


def test_a_proof_that_ends_while_a_pass_has_it_is_taken_at_once(
    monkeypatch: pytest.MonkeyPatch, lost: list[Any]
) -> None:
    row, chain = proving([0]), OneDeadline()
    posts_advance(look(chain))
    here, go_on = threading.Event(), threading.Event()

    def slow(*args: Any, **named: Any) -> None:
        here.set()
        assert go_on.wait(30)
        backup_monitor(*args, **named)

    monkeypatch.setattr(proofs, "proof_check", lambda _job: None)
    monkeypatch.setattr(proof_orders, "backup_monitor", slow)
    first = beside(lambda: posts_advance(look(chain)))
    assert here.wait(30)
    done(job_of(row, AttemptKind.FIRST))
    second = beside(lambda: posts_advance(look(chain)))
    second.join(0.5)
    assert second.is_alive(), "it waits for its turn"
    go_on.set()
    for thread in (first, second):
        thread.join(30)

    assert (fresh(row).state, lost) == (PostState.SENT, [])


def test_a_pass_that_holds_one_proof_keeps_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    one, chain = proving([0]), OneDeadline(partitions=[[1, 2], [3]])
    other = WindowPost.objects.get(pk=one.pk)
    other.pk, other.uuid, other.part, other.partitions = None, WindowPost().uuid, 1, [1]
    other.save()
    moved: list[int] = []
    monkeypatch.setattr(posts, "LOCK_WAIT_S", 0.1)
    monkeypatch.setattr(posts, "posts_move", lambda rows, **_more: moved.extend(row.pk for row in rows))
    here, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with try_lock(posts.POST_LOCK, str(one.uuid)) as is_mine:
            assert is_mine
            here.set()
            go_on.wait(30)

    holder = beside(hold)
    assert here.wait(30)
    posts_advance(look(chain))
    assert moved == [other.pk], "the next head comes back to the other one"
    go_on.set()
    holder.join(30)
