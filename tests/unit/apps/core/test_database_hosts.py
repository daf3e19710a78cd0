"""Of several servers the one that takes writes is used, and found first from then on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from django.db import connection

from apps.core import database_hosts
from apps.core.leader import Leadership, database_params


@pytest.fixture
def several(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The tests' server behind one that does not answer."""
    host = connection.settings_dict["HOST"] or os.environ["PGHOST"]
    monkeypatch.setattr(database_hosts._Reached, "server", ("", ""))
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", f"/nowhere,{host}")
    yield str(host)
    connection.close()


def test_the_server_that_was_reached_last_is_tried_first(several: str) -> None:
    assert connection.get_connection_params()["host"] == f"/nowhere,{several}"

    with connection.cursor() as cursor:
        cursor.execute("select 1")

    assert connection.get_connection_params()["host"] == f"{several},/nowhere"
    assert database_params()["host"] == f"{several},/nowhere"
    with Leadership(key=4711) as leader:
        assert leader.try_lead()


def test_ports_go_with_their_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    params: dict[str, Any] = {"host": "a,b,a", "port": "1,2,3"}
    monkeypatch.setattr(database_hosts._Reached, "server", ("a", "3"))

    assert database_hosts.reached_first(params) == {"host": "a,a,b", "port": "3,1,2"}
    assert database_hosts.reached_first({"host": "a,b"}) == {"host": "a,b"}
    monkeypatch.setattr(database_hosts._Reached, "server", ("b", ""))
    assert database_hosts.reached_first({"host": "a,b"}) == {"host": "b,a"}
    assert database_hosts.reached_first({"host": "b", "port": "5"}) == {"host": "b", "port": "5"}


def test_a_server_that_only_reads_is_passed_over(several: str) -> None:
    params = database_params() | {"target_session_attrs": "read-write"}
    read_only = params | {"options": "-c default_transaction_read_only=on"}

    with closing(psycopg2.connect(**params)):
        pass
    with pytest.raises(psycopg2.OperationalError, match="read-only"):
        psycopg2.connect(**read_only)
