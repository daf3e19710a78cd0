"""Tasks are given to the thread that was at work last; the others end, with their database sessions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from django.db import connection, connections

from apps.core.task_threads import TaskPool, TaskThreads
from poolsite.celery import app
from tests.integration.pools import wait_until

MOST = 4
WITHIN_S = 60


@pytest.fixture
def made() -> Iterator[Callable[..., TaskThreads]]:
    rows: list[TaskThreads] = []

    def make(*, idle_s: float = 600, patience_s: float = 0.0) -> TaskThreads:
        rows.append(TaskThreads(MOST, idle_s=idle_s, patience_s=patience_s))
        return rows[-1]

    yield make
    for threads in rows:
        threads.shutdown()


def busy(threads: TaskThreads, count: int) -> tuple[threading.Event, list[Future[int]]]:
    """Have so many tasks carried out side by side until the event is set; each gives its thread."""
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def work() -> int:
        begun.release()
        go_on.wait(WITHIN_S)
        return threading.get_ident()

    futures = [threads.submit(work) for _ in range(count)]
    for _ in range(min(count, MOST)):
        assert begun.acquire(timeout=WITHIN_S)
    return go_on, futures


def all_rest(threads: TaskThreads) -> bool:
    time.sleep(0.01)
    return len(threads._idle) == len(threads._threads)


def test_one_after_the_other_one_thread_does_all(made: Callable[..., TaskThreads]) -> None:
    threads = made()
    go_on, futures = busy(threads, MOST)
    go_on.set()
    assert len({one.result(WITHIN_S) for one in futures}) == MOST

    found = set()
    for _ in range(3 * MOST):
        wait_until(lambda: all_rest(threads), within_s=WITHIN_S, what=lambda: "all threads rest")
        found.add(threads.submit(threading.get_ident).result(WITHIN_S))

    assert len(found) == 1


def test_no_more_than_the_limit_and_the_rest_in_its_turn(made: Callable[..., TaskThreads]) -> None:
    threads = made()
    go_on, futures = busy(threads, 3 * MOST)
    time.sleep(0.1)
    assert sum(one.running() for one in futures) == len(threads._threads) == MOST

    go_on.set()

    assert len({one.result(WITHIN_S) for one in futures}) <= MOST


@pytest.mark.django_db(transaction=True)
def test_threads_that_rest_long_end_with_their_sessions(made: Callable[..., TaskThreads]) -> None:
    threads = made(idle_s=0.2)
    links = []

    def ask() -> None:
        connections["default"].settings_dict = {**connections["default"].settings_dict, "CONN_MAX_AGE": 600}
        connection.ensure_connection()
        links.append(connection.connection)

    threads.submit(ask).result(WITHIN_S)
    assert not links[0].closed

    wait_until(lambda: bool(links[0].closed), within_s=WITHIN_S, what=lambda: "the session ended")
    assert not threads._threads
    assert threads.submit(lambda: 1).result(WITHIN_S) == 1  # another one begins


def test_short_tasks_in_a_burst_are_left_to_the_thread_that_is_there(
    made: Callable[..., TaskThreads],
) -> None:
    threads = made(patience_s=WITHIN_S / 2)
    futures = [threads.submit(threading.get_ident) for _ in range(5 * MOST)]

    assert len({one.result(WITHIN_S / 3) for one in futures}) == 1


def test_task_behind_slow_ones_waits_no_longer_than_the_patience(made: Callable[..., TaskThreads]) -> None:
    threads = made(patience_s=0.05)
    go_on, _ = busy(threads, 1)
    began = time.monotonic()

    threads.submit(lambda: 1).result(WITHIN_S)

    assert 0.05 <= time.monotonic() - began < WITHIN_S / 2
    go_on.set()


def test_an_error_is_told_and_the_thread_goes_on(made: Callable[..., TaskThreads]) -> None:
    threads = made()
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(WITHIN_S)

    assert threads.submit(lambda: 1).result(WITHIN_S) == 1
    assert len(threads._threads) == 1


def test_at_the_end_what_runs_is_waited_for_and_the_rest_is_not(made: Callable[..., TaskThreads]) -> None:
    threads = made()
    go_on, futures = busy(threads, 2 * MOST)
    threading.Timer(0.2, go_on.set).start()

    threads.shutdown(cancel_futures=True)

    assert [one.cancelled() for one in futures] == [False] * MOST + [True] * MOST
    assert all(one.done() for one in futures)
    assert not threads._threads
    with pytest.raises(RuntimeError):
        threads.submit(lambda: 1)


def test_tasks_from_many_sides_are_all_done(made: Callable[..., TaskThreads]) -> None:
    threads = made(idle_s=0.001)
    done: list[int] = []

    def give() -> None:
        for number in range(300):
            threads.submit(done.append, number)
            if not number % 10:
                time.sleep(0.002)

    givers = [threading.Thread(target=give) for _ in range(4)]
    for giver in givers:
        giver.start()
    for giver in givers:
        giver.join()
    wait_until(lambda: len(done) == 1200, within_s=WITHIN_S, what=lambda: f"{len(done)} of 1200 done")


def test_the_pools_worker_has_these_threads() -> None:
    from celery.concurrency import get_implementation

    assert get_implementation(app.conf.worker_pool) is TaskPool
