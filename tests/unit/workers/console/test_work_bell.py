"""An idle host waits in a thread, and claims when the console tells of work, fails, or is silent for long."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from workers.console.refusals import ConsoleAway
from workers.console.work_bell import WorkBell


@dataclass
class Line:
    """A console that answers what the test puts there, when it does."""

    worker_id: str = "w"
    poll_s: float = 0.01
    work_wait_s: int = 25
    asked: int = 0
    answers: queue.Queue[Any] = field(default_factory=queue.Queue)

    def work_wait(self, worker_id: str, *, wait_s: int) -> bool:
        """Wait for the next answer."""
        assert (worker_id, wait_s) == (self.worker_id, self.work_wait_s)
        self.asked += 1
        answer = self.answers.get(timeout=60)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def bell(line: Line) -> Iterator[WorkBell]:
    both: Any = line
    bell = WorkBell(both, both)
    bell.start()
    yield bell
    bell.stop()
    line.answers.put(False)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for a moment until it is so."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_nothing_is_asked_before_a_claim_found_nothing(bell: WorkBell, line: Line) -> None:
    time.sleep(0.05)

    assert (line.asked, bell.is_quiet) == (0, False)


def test_it_asks_again_until_there_is_work(bell: WorkBell, line: Line) -> None:
    bell.listen()
    for _ in range(3):
        line.answers.put(False)
    until(lambda: line.asked == 4)
    assert bell.is_quiet
    line.answers.put(True)

    until(lambda: not bell.is_quiet)
    assert line.asked == 4


def test_a_console_that_fails_brings_the_claims_back(bell: WorkBell, line: Line) -> None:
    line.answers.put(ConsoleAway("nobody answers"))

    bell.listen()

    until(lambda: not bell.is_quiet)
    assert line.asked == 1


def test_a_console_that_answers_at_once_is_not_asked_without_pause(bell: WorkBell, line: Line) -> None:
    line.poll_s = 0.2
    for _ in range(100):
        line.answers.put(False)

    bell.listen()
    time.sleep(0.5)

    assert line.asked <= 4


def test_after_a_while_a_claim_is_made_anyway(bell: WorkBell, line: Line) -> None:
    bell.anyway_s = 0.1

    bell.listen()
    until(lambda: line.asked == 1)

    until(lambda: not bell.is_quiet)
    assert line.answers.empty()
    assert line.asked == 1, "the console has not answered yet"
