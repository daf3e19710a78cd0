"""One worker at a time for a thing of a name, without holding a transaction open over the network.

A PostgreSQL advisory lock on the session: it falls with the process, so a kill frees it at once.  It only
saves double work: through a pooler that hands each statement to another session it holds nobody back, so
whatever it guards must be right without it.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Final, ParamSpec

import structlog
from django.db import Error, connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Given = ParamSpec("Given")

log = structlog.get_logger(__name__)

STEP_LOCK: Final = 0x4D55
"""Lock class of the steps of a head."""


@contextmanager
def try_lock(lock_class: int, name: str) -> Iterator[bool]:
    """Try to take the named lock; returns whether it was free.  Another holder is not waited for."""
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [lock_class, number])
        row = cursor.fetchone()
    is_mine = bool(row and row[0])
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


def _release(lock_class: int, number: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [lock_class, number])
    except Error:  # the session ended or its transaction is broken: the end of the session frees the lock
        connection.close()
