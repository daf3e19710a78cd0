"""What the step before all others waits for, and what ends it."""

from __future__ import annotations

import psycopg2
import pytest

from poolsite.embedded.preparation import is_temporary


@pytest.mark.parametrize(
    ("text", "may_wait"),
    [
        ("the database system is starting up", True),
        ("server closed the connection unexpectedly", True),
        ('FATAL:  database "pool" does not exist', False),
        ("FATAL:  unsupported startup parameter in options: tcp_keepalives_idle", False),
    ],
)
def test_only_what_waiting_can_fix_is_waited_for(text: str, may_wait: bool) -> None:
    assert is_temporary(psycopg2.OperationalError(text)) == may_wait
