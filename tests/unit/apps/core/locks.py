"""A lock that another process holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from apps.core.leader import database_params


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
