"""Nodes over REST: the operator's, tested before they are taken, safe to ask for twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.chain.models import Node
from apps.chain.selectors.nodes import nodes_for_reading
from apps.chain.services.nodes import nodes_sync
from apps.chain.services.probes import nodes_probe
from apps.chain.states import NodeRole
from apps.core.clock import now
from apps.users.models import AuditEntry
from tests import factories, people
from tests.fake_node import FakeNode, served

pytestmark = pytest.mark.django_db


@pytest.fixture
def url() -> Iterator[str]:
    with served(FakeNode()) as url:
        nodes_sync([url])
        nodes_probe(now=now())
        yield url


@pytest.fixture
def send(client: Any) -> Any:
    token = people.operator_token()

    def ask(method: str, path: str, body: Any = None, *, bearer: str = token, **headers: str) -> Any:
        data = "" if body is None else json.dumps(body)
        return client.generic(
            method,
            f"/api/v1/chain/{path}",
            data,
            content_type="application/json",
            headers={**people.bearer(bearer), **headers},
        )

    return ask


def test_the_list_tells_how_nodes_do_and_keeps_their_tokens(send, url):
    Node.objects.update(token="secret")

    [row] = send("GET", "nodes").json()

    assert (row["url"], row["state"], row["is_configured"]) == (url, "HEALTHY", True)
    assert "secret" not in json.dumps(row)


def test_a_node_is_tested_without_being_taken(send, url):
    with served(FakeNode()) as spare:
        answer = send("POST", "nodes:test", {"url": spare})

    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["state"]) == (None, "HEALTHY")
    assert Node.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"url": "http://127.0.0.1:9"}, 409, "url"),
        ({"url": "nonsense"}, 400, "url"),
        ({"url": "http://127.0.0.1:9", "role": "KING"}, 400, "role"),
        ({"url": "http://127.0.0.1:9", "weight": 5000}, 400, "weight"),
        ({}, 400, "url"),
        ({"url": "http://127.0.0.1:9", "colour": "red"}, 400, "colour"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_the_reason(send, url, body, status, field):
    answer = send("POST", "nodes", body)

    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert Node.objects.count() == 1


def test_a_node_of_another_network_is_refused(send, url):
    with served(FakeNode(network="mainnet")) as other:
        answer = send("POST", "nodes", {"url": other})

    assert answer.status_code == 409
    assert "mainnet" in answer.json()["message"]


def test_the_same_request_again_adds_no_second_node(send, url):
    with served(FakeNode()) as spare:
        body = {"url": spare, "role": "BACKUP", "name": "spare"}
        first = send("POST", "nodes", body, **{"Idempotency-Key": "one"})
        again = send("POST", "nodes", body, **{"Idempotency-Key": "one"})
        unkeyed = send("POST", "nodes", body)

    assert (first.status_code, again.status_code, unkeyed.status_code) == (201, 201, 409)
    assert first.json() == again.json()
    assert Node.objects.filter(url=spare).count() == 1
    assert AuditEntry.objects.filter(action="node.add").count() == 1


def test_a_change_is_noted_once_however_often_it_is_asked_for(send, url):
    other = Node.objects.create(url="http://other/rpc/v1", is_configured=False)
    for _ in range(2):
        answer = send("PATCH", f"nodes/{other.pk}", {"role": "PUSH_ONLY", "is_enabled": False})
        assert answer.status_code == 200

    assert (answer.json()["role"], answer.json()["is_enabled"]) == ("PUSH_ONLY", False)
    assert AuditEntry.objects.filter(action="node.set").count() == 1


def test_a_promoted_node_is_read_first(send, url):
    other = Node.objects.create(url="http://other/rpc/v1", role=NodeRole.BACKUP, condition="HEALTHY")
    for _ in range(2):
        assert send("POST", f"nodes/{other.pk}/promote").status_code == 200

    assert nodes_for_reading()[0] == other
    assert AuditEntry.objects.filter(action="node.set").count() == 1


def test_an_added_node_is_removed_and_the_settings_one_is_not(send, url):
    other = Node.objects.create(url="http://other/rpc/v1", is_configured=False)

    assert send("DELETE", f"nodes/{other.pk}").status_code == 204
    assert send("DELETE", f"nodes/{other.pk}").status_code == 404
    assert send("DELETE", f"nodes/{Node.objects.get().pk}").status_code == 409
    assert AuditEntry.objects.get(action="node.remove").target == "http://other/rpc/v1"


def test_the_last_node_that_can_be_read_stays(send, url):
    Node.objects.update(is_configured=False)
    last = Node.objects.get()

    assert send("PATCH", f"nodes/{last.pk}", {"is_enabled": False}).status_code == 409
    assert send("DELETE", f"nodes/{last.pk}").status_code == 409
    assert Node.objects.get().is_enabled


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "nodes"),
        ("POST", "nodes"),
        ("POST", "nodes:test"),
        ("PATCH", "nodes/1"),
        ("DELETE", "nodes/1"),
        ("POST", "nodes/1/promote"),
    ],
)
def test_nodes_are_no_tenants_business(send, url, method, path):
    answer = send(method, path, {} if method != "GET" else None, bearer=people.token("admin", of="alice"))

    assert answer.status_code == 403


def test_a_node_says_how_it_stands_to_the_next_upgrade(send):
    factories.head(1000)
    ready = Node.objects.create(url="http://new/rpc/v1", version="1.36", upgrades={"FireHorse": 1060})
    Node.objects.create(url="http://newer/rpc/v1", version="1.37", upgrades={"FireHorse": 1060})
    unready = Node.objects.create(url="http://old/rpc/v1", version="1.30", upgrades={"GoldenWeek": 5})

    rows = {row["id"]: row["upgrade"] for row in send("GET", "nodes").json()}

    upgrade = {"name": "FireHorse", "height": 1060, "network_version": 28}
    assert rows[ready.pk] == {**upgrade, "is_ready": True, "reason": "its release supports it"}
    words = "its release does not support it: install a newer one"
    assert rows[unready.pk] == {**upgrade, "is_ready": False, "reason": words}


def test_without_an_announced_upgrade_there_is_nothing_to_be_ready_for(send):
    factories.head(1000)
    node = Node.objects.create(url="http://new/rpc/v1", upgrades={"GoldenWeek": 5})

    assert send("GET", f"nodes/{node.pk}").json()["upgrade"] is None
