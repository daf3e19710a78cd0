"""One worker at a time: another session's lock is not waited for, and a step runs once."""

from __future__ import annotations

import pytest

from apps.core.locks import STEP_LOCK, single_flight, try_lock, try_locks
from tests.unit.apps.core.locks import elsewhere

pytestmark = pytest.mark.django_db


def test_a_lock_of_another_session_is_not_waited_for() -> None:
    with elsewhere(7, "one"), try_lock(7, "one") as is_mine, try_lock(7, "other") as is_other_mine:
        assert (is_mine, is_other_mine) == (False, True)


def test_of_many_locks_those_that_are_free_are_held() -> None:
    with elsewhere(7, "one"), try_locks(7, ["one", "two", "three"]) as held:
        assert held == {"two", "three"}
    with elsewhere(7, "two"), elsewhere(7, "three"), try_locks(7, []) as none:
        assert none == set()


def test_a_lock_is_free_again_after_an_error() -> None:
    with pytest.raises(ValueError, match="broken"), try_lock(7, "one"):
        raise ValueError("broken")

    with elsewhere(7, "one"):
        pass


def test_a_step_that_is_at_work_elsewhere_ends_at_once() -> None:
    done: list[int] = []

    def step(*, height: int) -> None:
        done.append(height)

    with elsewhere(STEP_LOCK, step.__qualname__):
        single_flight(step)(height=1)
    single_flight(step)(height=2)

    assert done == [2]
