"""One worker at a time for a thing of a name, without holding a transaction open over the network.

A PostgreSQL advisory lock on the session: it falls with the process, so a kill frees it at once.  It only
saves double work: through a pooler that hands each statement to another session it holds nobody back, so
whatever it guards must be right without it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Final, ParamSpec

import structlog
from django.db import Error, connection

Params = ParamSpec("Params")

log = structlog.get_logger(__name__)

STEP_LOCK: Final = 0x4D55
"""Lock class of the steps of a head."""
WAIT_S: Final = 0.05
"""Between two tries to take a lock that is waited for."""


@contextmanager
def try_lock(lock_class: int, name: str) -> Iterator[bool]:
    """Try to take the named lock; returns whether it was free.  Another holder is not waited for."""
    number = _number(name)
    is_held = _try_acquire(lock_class, number)
    try:
        yield is_held
    finally:
        if is_held:
            _release(lock_class, number)


@contextmanager
def try_locks(lock_class: int, names: Iterable[str]) -> Iterator[set[str]]:
    """Try to take each of the named locks; returns which were free.  No other holder is waited for."""
    numbers = {name: _number(name) for name in names}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, pg_try_advisory_lock(%s, number)"
            " FROM unnest(%s::text[], %s::int[]) AS wanted(name, number)",
            [lock_class, list(numbers), list(numbers.values())],
        )
        held = {name for name, is_held in cursor.fetchall() if is_held}
    try:
        yield held
    finally:
        if held:
            _release(lock_class, *(numbers[name] for name in held))


def transaction_lock(lock_class: int, names: Iterable[str]) -> None:
    """Acquire the named locks until the transaction ends, waiting for each, in one order for all."""
    with connection.cursor() as cursor:
        for number in sorted({_number(name) for name in names}):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [lock_class, number])


@contextmanager
def lock_in_turn(lock_class: int, name: str, *, wait_s: float) -> Iterator[bool]:
    """Acquire the named lock, waiting for its holder if need be; returns whether it was acquired.

    At most one caller waits: when it gets the lock it handles everything, for later callers too.
    """
    number = _number(name)
    is_held = _try_acquire(lock_class, number)
    if not is_held:
        with try_lock(lock_class, f"{name}, next") as is_next:
            until = time.monotonic() + wait_s
            while is_next and not is_held and time.monotonic() < until:
                time.sleep(WAIT_S)
                is_held = _try_acquire(lock_class, number)
    try:
        yield is_held
    finally:
        if is_held:
            _release(lock_class, number)


def single_flight(step: Callable[Params, None]) -> Callable[Params, None]:
    """Run a step of a head once at a time: where it takes longer than an epoch, further ones end at once.

    Otherwise a slow one fills all threads of its worker, and proofs behind it come too late.
    """

    @wraps(step)
    def run(*args: Params.args, **kwargs: Params.kwargs) -> None:
        with try_lock(STEP_LOCK, step.__qualname__) as is_held:
            if is_held:
                step(*args, **kwargs)
            else:
                log.info("step_is_at_work", step=step.__qualname__)

    return run


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big", signed=True)


def _try_acquire(lock_class: int, number: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [lock_class, number])
        row = cursor.fetchone()
    return bool(row and row[0])


def _release(lock_class: int, *numbers: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_unlock(%s, number) FROM unnest(%s::int[]) AS held(number)",
                [lock_class, list(numbers)],
            )
    except Error:  # the session ended or its transaction is broken: the end of the session frees the lock
        connection.close()
