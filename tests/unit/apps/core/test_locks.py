"""One worker at a time: another session's lock is not waited for, and a step runs once."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg2
import pytest

from apps.core.leader import database_params
from apps.core.locks import STEP_LOCK, single_flight, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db


@contextmanager
def elsewhere(lock_class: int, name: str) -> Iterator[None]:
    """Another process holds the lock."""
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big", signed=True)
    link = psycopg2.connect(**database_params())
    try:
        with link.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [lock_class, number])
        yield
        with link.cursor() as cursor:  # closing alone frees it only a moment later
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [lock_class, number])
    finally:
        link.close()


def test_a_lock_of_another_session_is_not_waited_for() -> None:
    with elsewhere(7, "one"), try_lock(7, "one") as is_mine, try_lock(7, "other") as is_other_mine:
        assert (is_mine, is_other_mine) == (False, True)


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
