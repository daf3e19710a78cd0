"""Retrying while a database is unavailable or a disk is full; other faults are raised."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable
from typing import Final

import psycopg2
from django.db import InterfaceError, OperationalError, connections

RETRY_S: Final = 1.0
"""Between two attempts at a database that is unavailable."""

UNAVAILABLE: Final = (OperationalError, InterfaceError, psycopg2.OperationalError, psycopg2.InterfaceError)
DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

PERMANENT: Final = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "permission denied for database",
    "invalid connection option",
    "invalid dsn",
    "unsupported startup parameter",
    "not allowed in statement pooling mode",
)
"""Texts of an OperationalError that only an operator can fix; libpq has no code for a refused connection."""


def is_temporary(error: Exception) -> bool:
    """Return whether waiting may fix a fault: the server is unavailable or recovering, the disk is full."""
    if isinstance(error, UNAVAILABLE):
        return not any(text in str(error) for text in PERMANENT)
    return isinstance(error, OSError) and error.errno in DISK_ERRORS


def attempt_until_available(act: Callable[[], object]) -> None:
    """Repeat `act` while it fails with a temporary fault; each new reason is logged once."""
    logged = ""
    while True:
        try:
            act()
        except (*UNAVAILABLE, OSError) as error:
            if not is_temporary(error):
                raise
            reason = " ".join(str(error).split())
            if reason != logged:
                logged = reason
                sys.stderr.write(f"waiting for the database: {reason}\n")
            connections.close_all()
            time.sleep(RETRY_S)
        else:
            return
