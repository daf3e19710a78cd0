"""`Filecoin.*` over POST: passed on to the nodes, by level, with failover and a memory for objects."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from apps.api.rpc.services.node.methods import LEVELS
from apps.api.rpc.services.node.proxy import ObjectCache
from apps.chain.models import Node
from apps.chain.services.nodes import nodes_sync
from apps.chain.states import NodeCondition
from tests import people
from tests.fake_node import FakeNode
from tests.unit.apps.api.nodes import call, node_served

pytestmark = pytest.mark.django_db


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with node_served() as node:
        yield node


def test_a_read_is_answered_by_the_node(client, node):
    answer = call(client, "Filecoin.ChainHead")

    assert answer.json() == {"jsonrpc": "2.0", "id": 7, "result": node.head.as_json()}


def test_the_nodes_refusal_keeps_code_words_and_status(client, node):
    refusal = call(client, "Filecoin.StateAccountKey", "f01234", [])
    missing = call(client, "Filecoin.StateCompute", 1, [], [])

    assert (refusal.status_code, refusal.json()["error"]) == (200, {"code": 1, "message": "mock: unknown id"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (500, -32601)


def test_a_method_that_no_node_has_is_not_passed_on(client, node):
    answer = call(client, "Filecoin.Nope")

    assert answer.json()["error"]["code"] == -32601
    assert "Nope" not in node.calls


@pytest.mark.parametrize(
    ("method", "perm", "operator", "is_let_in"),
    [
        ("MpoolPush", "read", False, False),
        ("MpoolPush", "write", False, True),
        ("MpoolClear", "admin", False, False),
        ("WalletNew", "admin", False, False),
        ("MsigApprove", "admin", False, False),
        ("Shutdown", "admin", False, False),
        ("Shutdown", "admin", True, True),
        ("WalletNew", "admin", True, True),
    ],
)
def test_levels_are_kept_and_the_nodes_own_keys_are_the_operators(
    client, node, method, perm, operator, is_let_in
):
    token = people.operator_token() if operator else people.token(perm)

    answer = call(client, f"Filecoin.{method}", {}, token=token)

    assert ("missing permission" not in answer.content.decode()) == is_let_in
    assert (method in node.calls) == is_let_in


@pytest.mark.parametrize("perm", ["read", "admin"])
def test_a_tenant_is_told_what_to_call_instead_of_a_nodes_push(client, node, perm):
    answer = call(client, "Filecoin.MsigApprove", {}, None, token=people.token(perm))

    assert answer.json()["error"] == {
        "code": 1,
        "message": "missing permission to invoke 'MsigApprove'  (only the pool's operator may): "
        "push the message with Message.PushMessage or POST /api/v1/messages",
    }
    assert node.calls == []


def test_a_token_of_a_part_is_not_for_nodes(client, node):
    answer = call(client, "Filecoin.ChainHead", token=people.token("admin", scopes=["signer"]))

    assert "missing permission" in answer.json()["error"]["message"]


def test_a_batch_is_answered_in_order(client, node):
    body = [{"jsonrpc": "2.0", "id": n, "method": f"Filecoin.{m}", "params": []} for n, m in
            enumerate(["StateNetworkName", "Nope", "Version"])]  # fmt: skip

    answers = client.post(
        "/rpc/v1", json.dumps(body), content_type="application/json", headers=people.bearer(people.token())
    ).json()

    assert [answer["id"] for answer in answers] == [0, 1, 2]
    assert answers[0]["result"] == node.network
    assert answers[2]["result"]["Version"] == "tiny"


def test_the_next_node_answers_within_the_call(client, node):
    nodes_sync(["http://127.0.0.1:9/rpc/v1", *Node.objects.values_list("url", flat=True)])
    Node.objects.update(condition=NodeCondition.HEALTHY, token="secret")

    assert call(client, "Filecoin.ChainHead").json()["result"]["Height"] == 1


def test_without_any_node_the_reason_is_said(client):
    error = call(client, "Filecoin.ChainHead").json()["error"]

    assert error["code"] == 1
    assert "no readable node" in error["message"]


def test_an_object_is_asked_for_once_and_the_head_each_time(client, node):
    key = [{"/": node.head.cid}]
    for _ in range(3):
        assert call(client, "Filecoin.ChainGetTipSet", key).json()["result"]["Height"] == 1
        call(client, "Filecoin.ChainHead")

    assert node.calls.count("ChainGetTipSet") == 1
    assert node.calls.count("ChainHead") == 3


def test_the_empty_key_means_the_head_and_is_never_kept(client, node):
    for _ in range(2):
        call(client, "Filecoin.ChainGetTipSet", [])

    assert node.calls.count("ChainGetTipSet") == 2


def test_the_memory_for_objects_keeps_its_size():
    objects = ObjectCache(1000)
    for number in range(50):
        objects.put(str(number), "x" * 50)
    objects.put("large", "x" * 500)

    assert objects.get("0") is None
    assert objects.get("large") is None
    assert objects.get("49") == "x" * 50


@pytest.mark.parametrize("params", ["[1e999]", '["\\ud800"]', "[" * 900 + "]" * 900])
def test_strange_parameters_are_no_panic(client, node, params):
    body = f'{{"id":1,"method":"Filecoin.StateAccountKey","params":{params}}}'
    answer = client.post(
        "/rpc/v1", body, content_type="application/json", headers=people.bearer(people.token())
    )

    assert "fatal error" not in answer.content.decode()
    assert "error" in answer.json()


def test_the_namespace_header_chooses_the_nodes(client, node):
    answer = call(client, "Filecoin.Version", **{"X-VENUS-API-NAMESPACE": "v1.FullNode"})

    assert answer.json()["result"]["Version"] == "tiny"


def test_a_channel_needs_a_socket(client, node):
    assert call(client, "Filecoin.ChainNotify").json()["error"]["code"] == -32601


def test_v2_has_no_nodes_methods(client, node):
    body = json.dumps({"id": 1, "method": "Filecoin.ChainHead", "params": []})
    answer = client.post(
        "/rpc/v2", body, content_type="application/json", headers=people.bearer(people.token())
    )

    assert answer.json()["error"]["code"] == -32601


def test_the_table_has_what_both_kinds_of_node_have():
    assert LEVELS["MpoolSelects"] == "read"
    assert LEVELS["NetConnect"] == "admin", "the higher of lotus' write and venus' admin"
    assert len(LEVELS) > 300
