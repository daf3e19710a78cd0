"""One worker at a time per sender, without holding a transaction open over the network.

A PostgreSQL advisory lock on the session: it falls with the process, so a kill frees it at once.  It only
saves double work; that no nonce is given twice rests on the sender's version (`services.select`).
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.db import Error, connection

if TYPE_CHECKING:
    from collections.abc import Iterator

SENDER_LOCK: Final = 0x4D53
"""Lock class of senders."""

TRACK_LOCK: Final = 0x4D54
"""Lock class of the tracker."""


@contextmanager
def held(lock_class: int, name: str) -> Iterator[bool]:
    """Try to take the named lock; gives whether it was free.  Another holder is not waited for."""
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


def _release(lock_class: int, number: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [lock_class, number])
    except Error:  # the session ended or its transaction is broken: the end of the session frees the lock
        connection.close()
