"""One worker at a time for a thing of a name, without holding a transaction open over the network.

A PostgreSQL advisory lock on the session: it falls with the process, so a kill frees it at once.  It only
saves double work: through a pooler that hands each statement to another session it holds nobody back, so
whatever it guards must be right without it.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Final, ParamSpec

import structlog
from django.db import Error, connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Given = ParamSpec("Given")

log = structlog.get_logger(__name__)

STEP_LOCK: Final = 0x4D55
"""Lock class of the steps of a head."""
WAIT_S: Final = 0.05
"""Between two tries to take a lock that is waited for."""


@contextmanager
def try_lock(lock_class: int, name: str) -> Iterator[bool]:
    """Try to take the named lock; returns whether it was free.  Another holder is not waited for."""
    number = _number(name)
    is_mine = _take(lock_class, number)
    try:
        yield is_mine
    finally:
        if is_mine:
            _release(lock_class, number)


def transaction_lock(lock_class: int, names: Iterable[str]) -> None:
    """Take the named locks until the transaction has ended, waiting for each, in one order for all."""
    with connection.cursor() as cursor:
        for number in sorted({_number(name) for name in names}):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [lock_class, number])


@contextmanager
def lock_in_turn(lock_class: int, name: str, *, wait_s: float) -> Iterator[bool]:
    """Take the named lock, if need be after the one who holds it; returns whether it was taken.

    One waits at most: it looks at everything when its turn comes, for all who came meanwhile.
    """
    number = _number(name)
    is_mine = _take(lock_class, number)
    if not is_mine:
        with try_lock(lock_class, f"{name}, next") as is_next:
            until = time.monotonic() + wait_s
            while is_next and not is_mine and time.monotonic() < until:
                time.sleep(WAIT_S)
                is_mine = _take(lock_class, number)
    try:
        yield is_mine
    finally:
        if is_mine:
            _release(lock_class, number)


def single_flight(step: Callable[Given, None]) -> Callable[Given, None]:
    """Run a step of a head once at a time: where it takes longer than an epoch, further ones end at once.

    Otherwise a slow one fills all threads of its worker, and proofs behind it come too late.
    """

    @wraps(step)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> None:
        with try_lock(STEP_LOCK, step.__qualname__) as is_mine:
            if is_mine:
                step(*args, **kwargs)
            else:
                log.info("step_is_at_work", step=step.__qualname__)

    return run


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big", signed=True)


def _take(lock_class: int, number: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [lock_class, number])
        row = cursor.fetchone()
    return bool(row and row[0])


def _release(lock_class: int, number: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [lock_class, number])
    except Error:  # the session ended or its transaction is broken: the end of the session frees the lock
        connection.close()
