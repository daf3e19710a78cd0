"""A database that takes no writes, such as a standby that nobody promoted, counts as one that is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import close_old_connections, connection
from django.test import Client

from apps.chain.heads.follow import ChainFollower
from apps.chain.heads.steps import Steps
from apps.core.postgresql.base import DatabaseReadOnly
from apps.users.models import Tenant
from tests import people
from tests.page_client import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def forbid() -> Callable[[], None]:
    """What makes the test's transaction refuse all writes from then on."""

    def begin() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET TRANSACTION READ ONLY")

    return begin


def test_readyz_is_503_while_the_database_is_read_only(
    forbid: Callable[[], None], client: Client, pool_redis: str, settings: Any
) -> None:
    settings.READY_PROCESSES = []
    assert client.get("/readyz").json()["database"] == "ok"

    forbid()
    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["database"]) == (503, "read-only")


def test_request_that_writes_is_503_and_names_the_read_only_database(forbid: Callable[[], None]) -> None:
    headers = people.bearer(people.token("sign"))

    forbid()
    answer = Client().post(
        "/api/v1/gas/guards", {"max_fee": "7"}, content_type="application/json", headers=headers
    )

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "read-only" in answer.json()["message"]


def test_pages_are_shown_while_the_database_is_read_only(forbid: Callable[[], None]) -> None:
    people.person("ann")
    browser = signed_in("ann")
    browser.get("/messages/")

    forbid()

    assert browser.get("/messages/").status_code == 200


def test_follower_survives_a_read_only_database(
    forbid: Callable[[], None], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr("apps.chain.heads.follow.WAIT_S", 0.0)
    settings.CHAIN_URLS = ["http://127.0.0.1:1/rpc/v1"]
    follower = ChainFollower(steps=Steps(send=Mock()))

    forbid()
    follower.turn()

    assert follower._listener is None


@pytest.mark.django_db(transaction=True)
def test_session_that_began_read_only_is_replaced_before_the_next_request() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    with pytest.raises(DatabaseReadOnly):
        people.tenant("alice")

    close_old_connections()
    people.tenant("alice")

    assert Tenant.objects.filter(name="alice").exists()
