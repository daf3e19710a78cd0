"""Several children of one stage: who gets the next task, and when."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from workers.processors.admission import Admission, Place
from workers.processors.errors import CallGivenUp

PAIR = [Place(number=0, capacity=1), Place(number=1, capacity=2)]


def held(stack: ExitStack, admission: Admission, stage: str, *places: Place) -> int:
    """The child that takes a task, or -1 where it would have to wait."""
    looks = iter([False])
    try:
        admitted = admission.admitted(stage, places, is_wanted=lambda: next(looks, False))
        return stack.enter_context(admitted).number
    except CallGivenUp:
        return -1


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.processors.admission.CHECK_S", 0.001)


@pytest.fixture
def stack():
    with ExitStack() as held_until_then:
        yield held_until_then


def test_the_least_loaded_child_gets_the_task_until_all_are_full(stack: ExitStack) -> None:
    admission = Admission()

    assert [held(stack, admission, "pc1", *PAIR) for _ in range(4)] == [1, 0, 1, -1]
    stack.close()
    assert held(stack, admission, "pc1", *PAIR) == 1


def test_weights_share_the_tasks_out(stack: ExitStack) -> None:
    admission, places = Admission(), [Place(number=0), Place(number=1, weight=3)]

    given = [held(stack, admission, "c2", *places) for _ in range(8)]

    assert (given.count(0), given.count(1)) == (2, 6)


def test_a_lock_is_held_by_one_task_across_stages(stack: ExitStack) -> None:
    admission = Admission(locks={"gpu1": 1, "disk": 2})
    pc2, c2 = Place(number=0, locks=("gpu1", "disk")), Place(number=1, locks=("gpu1",))
    other = Place(number=2, locks=("gpu2",))

    with ExitStack() as first:
        assert held(first, admission, "pc2", pc2) == 0
        assert held(stack, admission, "c2", c2) == -1
        assert held(stack, admission, "c2", c2, other) == 2
    assert held(stack, admission, "c2", c2) == 1


def test_starts_are_staggered_unless_a_task_has_ended(stack: ExitStack) -> None:
    now = [100.0]
    admission = Admission(staggered_s={"pc1": 300.0}, clock=lambda: now[0])
    place = Place(number=0)

    with ExitStack() as first:
        assert held(first, admission, "pc1", place) == 0
        assert held(stack, admission, "pc1", place) == -1
        assert held(stack, admission, "pc2", place) == 0
        now[0] += 300.0
        assert held(stack, admission, "pc1", place) == 0
        assert held(stack, admission, "pc1", place) == -1
    assert held(stack, admission, "pc1", place) == 0


def test_a_child_that_did_not_get_ready_comes_last(stack: ExitStack) -> None:
    admission = Admission()

    def next_one() -> int:
        admitted = admission.admitted("c2", PAIR, is_wanted=lambda: True, avoided=lambda: frozenset({1}))
        return stack.enter_context(admitted).number

    assert [next_one() for _ in range(3)] == [0, 1, 1]


def test_one_that_waits_goes_on_when_a_place_is_free() -> None:
    admission, place, order = Admission(), Place(number=0, capacity=1), []

    def work() -> None:
        with admission.admitted("pc1", [place], is_wanted=lambda: True):
            order.append("second")

    with admission.admitted("pc1", [place], is_wanted=lambda: True):
        waiting = threading.Thread(target=work)
        waiting.start()
        order.append("first")
    waiting.join(60)

    assert order == ["first", "second"]
