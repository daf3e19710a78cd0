"""Rows spread over threads: each piece once, errors and cancelled progress stop the rest."""

from __future__ import annotations

import threading
import time

import pytest

from workers.processors.parallel import THREADS_VARIABLE, parallel_for


@pytest.fixture(params=["1", "2", "5"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv(THREADS_VARIABLE, request.param)
    return int(request.param)


@pytest.mark.parametrize(("total", "size"), [(0, 4), (1, 4), (4, 4), (41, 4), (1000, 1)])
def test_each_piece_is_done_once_and_progress_ends_at_the_total(threads: int, total: int, size: int) -> None:
    done: list[tuple[int, int]] = []
    told: list[tuple[int, threading.Thread]] = []

    parallel_for(
        lambda first, end: done.append((first, end)),
        total,
        size=size,
        progress=lambda so_far, _total: told.append((so_far, threading.current_thread())),
    )

    assert sorted(done) == [(first, min(first + size, total)) for first in range(0, total, size)]
    if threads == 1:
        assert done == sorted(done), "in order on a single core"
    counts = [count for count, _ in told]
    assert counts == sorted(counts)
    assert counts[-1:] == ([total] if total else [])
    assert {thread for _, thread in told} <= {threading.current_thread()}


def test_pieces_are_done_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "3")
    meeting = threading.Barrier(3, timeout=20)

    parallel_for(lambda _first, _end: meeting.wait(), 3, size=1)

    assert meeting.n_waiting == 0, "each waited for the two others"


@pytest.mark.parametrize("bad", ["first", "another"])
def test_the_first_error_stops_the_rest_and_is_raised(threads: int, bad: str) -> None:
    here = threading.current_thread()
    done: list[int] = []

    def work(first: int, _end: int) -> None:
        is_here = threading.current_thread() is here
        if (threads == 1 and first == 3) or (threads > 1 and is_here == (bad == "first")):
            raise ValueError(f"row {first}")
        done.append(first)
        time.sleep(0.001)

    with pytest.raises(ValueError, match="row"):
        parallel_for(work, 10_000, size=1)

    assert len(done) < 10_000
    count = len(done)
    time.sleep(0.01)
    assert len(done) == count, "no thread goes on"


@pytest.mark.usefixtures("threads")
def test_progress_that_refuses_stops_the_rest() -> None:
    done: list[int] = []

    def cancelled(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    def work(first: int, _end: int) -> None:
        done.append(first)
        time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        parallel_for(work, 10_000, size=1, progress=cancelled)

    assert 1 <= len(done) < 10_000
    count = len(done)
    time.sleep(0.01)
    assert len(done) == count, "no thread goes on"
