"""Database sessions that are kept: whether they still live is seen at their sockets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
from django.db import connection
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from apps.core.leader import database_params
from apps.core.sessions import is_surely_open


def session_end(pid: int) -> None:
    """End a session as kill -9 of the server would; returns once it is gone."""
    with psycopg2.connect(**database_params()) as link, link.cursor() as cursor:
        cursor.execute("select pg_terminate_backend(%s, 5000)", [pid])
    link.close()


@pytest.mark.django_db(transaction=True)
def test_open_session_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()

    def ask() -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(connection, "cursor", ask)

    assert connection.is_usable()


@pytest.mark.django_db(transaction=True)
def test_ended_session_is_not_usable() -> None:
    connection.ensure_connection()
    session_end(connection.connection.info.backend_pid)

    assert not is_surely_open(connection.connection)
    assert not connection.is_usable()
    connection.close()


def test_session_over_tcp_is_asked() -> None:
    info = SimpleNamespace(host="db.example", transaction_status=TRANSACTION_STATUS_IDLE)
    link: Any = SimpleNamespace(closed=0, info=info)

    assert not is_surely_open(link)
    assert not is_surely_open(None)
