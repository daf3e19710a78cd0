from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from apps.api.rpc.dispatcher import Call, Service
from apps.api.rpc.services import registry
from apps.core.errors import NotFound
from apps.users.models import Tenant, Token
from apps.users.services.tenants import tenant_update
from apps.users.services.tokens import token_revoke
from poolsite.wire.jsonrpc.parameters import ADDRESS, NUMBER, TEXT, RpcMethod
from tests import people

pytestmark = pytest.mark.django_db


def echo(call: Call, words: str) -> str:
    return f"{call.principal.tenant_name}: {words}"


async def add(_call: Call, left: int, right: int) -> int:
    return left + right


def lost(_call: Call) -> None:
    raise NotFound("record not found")


def broken(_call: Call) -> None:
    raise ZeroDivisionError


async def numbers(_call: Call, most: int) -> AsyncIterator[int]:
    for one in range(most):
        yield one


TABLE = {
    "Test.Echo": RpcMethod("read", echo, (TEXT,)),
    "Test.Add": RpcMethod("write", add, (NUMBER, NUMBER)),
    "Test.Lost": RpcMethod("read", lost),
    "Test.Broken": RpcMethod("read", broken),
    "Test.Admin": RpcMethod("admin", lost),
    "Test.Address": RpcMethod("read", echo, (ADDRESS,)),
    "Test.Numbers": RpcMethod("read", numbers, (NUMBER,)),
    "Test.Void": RpcMethod("read", lambda _call: None, void=True),
}


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Service({"Other.Echo": RpcMethod("read", lambda _call: "other")}, {})
    v1_only = {"v1": {"Test.Echo": RpcMethod("read", lambda _call: "old form")}}
    monkeypatch.setitem(registry.SERVICES, "Test", Service(TABLE, v1_only))
    monkeypatch.setitem(registry.SERVICES, "Other", other)


def post(client: Any, body: Any, token: str, path: str = "/rpc/v0") -> Any:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post(path, data, content_type="application/json", headers=people.bearer(token))


def call(client: Any, method: str, *params: Any, token: str | None = None, path: str = "/rpc/v0") -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params), "meta": {"SpanContext": "x"}}
    return post(client, body, token or people.token(), path)


def test_a_plain_method_runs_as_the_tokens_tenant(client):
    answer = call(client, "Test.Echo", "hello")

    assert answer.status_code == 200
    assert answer.content.endswith(b"\n")
    assert answer.json() == {"jsonrpc": "2.0", "id": 1, "result": "alice: hello"}


def test_a_coroutine_runs_over_post(client):
    assert call(client, "Test.Add", 2, 3).json()["result"] == 5


def test_a_void_method_answers_without_result(client):
    assert call(client, "Test.Void").json() == {"jsonrpc": "2.0", "id": 1}


def test_the_path_chooses_the_version(client):
    assert call(client, "Test.Echo", path="/rpc/v1").json()["result"] == "old form"


def test_an_unknown_version_is_not_found(client):
    assert call(client, "Test.Echo", "x", path="/rpc/v9").status_code == 404


@pytest.mark.parametrize(
    ("method", "params", "status", "error"),
    [
        (
            "Test.Nope",
            [],
            500,
            {"code": -32601, "message": "(error code -32601) method 'Test.Nope' not found"},
        ),
        ("Nope", [], 500, {"code": -32601, "message": "(error code -32601) method 'Nope' not found"}),
        (
            "Test.Echo",
            [],
            500,
            {"code": -32602, "message": "(error code -32602) wrong param count (method 'Test.Echo'): 0 != 1"},
        ),
        (
            "Test.Address",
            ["x01"],
            500,
            {
                "code": -32700,
                "message": "(error code -32700) unmarshaling params for 'Test.Address' "
                "(param: *address.Address): unknown address network: error code -32700",
            },
        ),
        ("Test.Lost", [], 200, {"code": 1, "message": "record not found"}),
        (
            "Test.Admin",
            [],
            200,
            {"code": 1, "message": "missing permission to invoke 'Admin'  (need 'admin')"},
        ),
        (
            "Test.Numbers",
            [1],
            500,
            {
                "code": -32601,
                "message": "method 'Test.Numbers' not supported in this mode (no out channel support)",
            },
        ),
        (
            "Test.Broken",
            [],
            500,
            {"code": 0, "message": "(error code 0) fatal error calling 'Test.Broken': internal error"},
        ),
    ],
)
def test_errors_have_the_codes_and_texts_of_go_jsonrpc(client, method, params, status, error):
    answer = call(client, method, *params)

    assert (answer.status_code, answer.json()) == (status, {"jsonrpc": "2.0", "id": 1, "error": error})


@pytest.mark.parametrize("body", ["{", "nonsense", "[" * 100_000, '{"id": NaN}', b"\xff\xfe"])
def test_what_is_no_json_is_a_parse_error(client, body):
    answer = post(client, body, people.token())

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, -32700)


@pytest.mark.parametrize("body", [1, "text", None, {}, {"method": 3}, [], [1] * 101])
def test_what_is_no_request_is_refused(client, body):
    answer = post(client, body if body != "text" else '"text"', people.token())

    assert answer.json()["error"]["code"] == -32600


@pytest.mark.parametrize("params", [3, "x", {"a": 1}])
def test_params_that_are_no_array_are_refused(client, params):
    answer = post(client, {"id": 7, "method": "Test.Echo", "params": params}, people.token())

    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (500, -32700, 7)


@pytest.mark.parametrize("words", [1, None, True, [], {}, "a\0b", "\ud800"])
def test_a_text_that_no_database_holds_is_refused(client, words):
    assert call(client, "Test.Echo", words).json()["error"]["code"] == -32700


def test_a_batch_answers_each_request_but_notifications(client):
    batch = [
        {"id": 1, "method": "Test.Echo", "params": ["a"]},
        {"method": "Test.Echo", "params": ["silent"]},
        {"id": "two", "method": "Test.Nope"},
    ]

    answer = post(client, batch, people.token()).json()

    assert [(one["id"], "error" in one) for one in answer] == [(1, False), ("two", True)]


GOLDEN = Path(__file__).parents[3] / "golden" / "chain" / "lotus" / "golden_rpc.json"
WITHOUT_A_REQUEST = [
    entry for entry in json.loads(GOLDEN.read_text()) if entry.get("note") in ("empty batch", "empty body")
]


@pytest.mark.parametrize("entry", WITHOUT_A_REQUEST, ids=lambda entry: entry["note"])
def test_empty_batch_and_body_get_the_recorded_answer_of_go_jsonrpc(client, entry):
    answer = client.post(
        "/rpc/v0",
        entry["request"],
        content_type="application/json",
        headers=people.bearer(people.token()),
    )

    assert len(WITHOUT_A_REQUEST) == 2
    assert (answer.status_code, answer.json()) == (entry["status"], json.loads(entry["response"]))


def test_a_batch_of_notifications_has_an_empty_answer(client):
    batch = [{"method": "Test.Echo", "params": ["silent"]}]

    assert post(client, batch, people.token()).content == b""


def test_a_notification_has_an_empty_answer(client):
    assert post(client, {"method": "Test.Echo", "params": ["x"]}, people.token()).content == b""


def test_the_namespace_header_wins_over_the_prefix(client, monkeypatch):
    monkeypatch.setitem(registry.NAMESPACES, "other.IOther", "Other")
    headers = {**people.bearer(people.token()), "X-VENUS-API-NAMESPACE": "other.IOther"}
    body = json.dumps({"id": 1, "method": "Other.Echo"})

    answer = client.post("/rpc/v0", body, content_type="application/json", headers=headers)

    assert answer.json()["result"] == "other"


def test_without_a_good_token_the_answer_is_401_and_nothing_changes(client):
    good = people.token()
    revoked = people.token(of="bob")
    token_revoke(Token.objects.get(tenant__name="bob"))
    disabled = people.token(of="carol")
    tenant_update(tenant=Tenant.objects.get(name="carol"), enabled=False)
    body = json.dumps({"id": 1, "method": "Test.Echo", "params": ["x"]})

    statuses = [
        client.post("/rpc/v0", body, content_type="application/json", headers=headers).status_code
        for headers in (
            {},
            {"Authorization": good},
            people.bearer("nonsense"),
            people.bearer(good[:-1]),
            people.bearer(revoked),
            people.bearer(disabled),
        )
    ]

    assert statuses == [401] * 6


@pytest.mark.parametrize("given", [7, "a-word", 2.5])
def test_a_refusal_names_the_request_that_it_answers(client, given):
    body = json.dumps({"id": given, "method": "Test.Echo", "params": ["x"]})

    answer = client.post("/rpc/v0", body, content_type="application/json", headers=people.bearer("nonsense"))

    assert answer.json()["id"] == given
    assert answer.json()["error"]["code"] == 401


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '[{"id": 1}]', '{"id": {}}', '{"id": 1, "params": ["' + "x" * 70_000 + '"]}']
)
def test_a_stranger_without_one_readable_request_is_refused_without_a_name(client, body):
    answer = client.post("/rpc/v0", body, content_type="application/json")

    assert (answer.status_code, answer.json()["id"]) == (401, None)


def test_a_token_in_the_query_is_good_too(client):
    body = json.dumps({"id": 1, "method": "Test.Echo", "params": ["x"]})

    answer = client.post(f"/rpc/v0?token={people.token()}", body, content_type="application/json")

    assert answer.json()["result"] == "alice: x"


def test_a_token_of_one_part_does_not_reach_the_general_part(client):
    answer = call(client, "Test.Echo", "x", token=people.token(scopes=["sealer"]))

    assert "the token lacks the scope 'general'" in answer.json()["error"]["message"]


def test_a_database_that_starts_is_no_panic(
    client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first that asks it is the count of the tenant's rate."""

    def away(*_: Any) -> bool:
        raise OperationalError("the database system is starting up")

    token = people.token("write")
    monkeypatch.setattr("apps.api.rpc.dispatcher.RULES", SimpleNamespace(is_free=away))

    answer = call(client, "Test.Add", 1, 2, token=token).json()

    assert "The database is restarting" in answer["error"]["message"]
    assert "rpc_panic" not in caplog.text
