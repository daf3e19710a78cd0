"""JSON-RPC as go-jsonrpc speaks it, compared with what a real node sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from poolsite.filecoin import jsonrpc
from poolsite.filecoin.jsonrpc import (
    ApiInfo,
    BadApiInfo,
    Cancelled,
    ChannelClosed,
    ChannelValue,
    Request,
    Response,
    RpcError,
    api_info_parse,
    body_parse,
    frame_parse,
    request_from_json,
    request_to_json,
    response_from_json,
    response_to_json,
)
from tests.unit.filecoin.golden.files import load

TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJBbGxvdyI6WyJyZWFkIl19.c2ln"


def test_requests_and_answers_read_back() -> None:
    request = Request("Filecoin.ChainHead", (1, [None]), 7)
    answer = Response(7, {"a": 1})
    failed = Response("x", error=RpcError(11, "actor not found", "0x"))

    assert request_from_json(request_to_json(request)) == request
    assert response_from_json(response_to_json(answer)) == answer
    with pytest.raises(RpcError, match="actor not found") as error:
        response_from_json(response_to_json(failed)).unwrap()
    assert (error.value.code, error.value.data) == (11, "0x")
    assert request.namespace == "Filecoin"
    assert Request("eth_chainId").namespace == ""


def test_a_void_answer_has_a_null_result_and_a_failed_one_has_none() -> None:
    assert response_to_json(Response(1)) == {"id": 1, "jsonrpc": "2.0", "result": None}
    assert response_to_json(Response(1, error=RpcError(1, "no"))) == {
        "error": {"code": 1, "message": "no"},
        "id": 1,
        "jsonrpc": "2.0",
    }


@pytest.mark.parametrize(
    "value", [{"method": "x"}, {"method": "x", "id": None}, {"method": "x", "params": None}]
)
def test_requests_without_id_are_notifications(value: dict[str, Any]) -> None:
    request = request_from_json(value)

    assert request.is_notification
    assert request.params == ()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ([], -32700),
        ("x", -32700),
        ({"method": 5}, -32700),
        ({"method": "x", "id": {}}, -32700),
        ({"method": "x", "id": True}, -32700),
        ({"method": "x", "params": {}}, -32700),
    ],
)
def test_what_is_no_request(value: object, code: int) -> None:
    with pytest.raises(RpcError) as refusal:
        request_from_json(value)

    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", -32600), (b"  \n", -32600), (b"[]", -32600), (b"{", -32700), (b"[" * 100_000, -32700)],
)
def test_bodies_that_are_refused(body: bytes, code: int) -> None:
    with pytest.raises(RpcError) as refusal:
        body_parse(body)

    assert refusal.value.code == code


def test_error_texts_are_the_node_s() -> None:
    recorded = {
        (error["code"], error["message"])
        for entry in load("lotus/golden_rpc")
        if entry["response"].startswith("{")
        and (error := json.loads(entry["response"]).get("error")) is not None
    }

    not_found = jsonrpc.method_not_found("Filecoin.Nope")
    assert (not_found.code, not_found.message) in recorded
    assert any(
        (e := jsonrpc.wrong_param_count("Filecoin.ChainHead", got=n, wanted=0)).code == code
        and e.message == text
        for n in range(5)
        for code, text in recorded
    )
    assert any("missing permission to invoke" in text and code == 1 for code, text in recorded)


def test_recorded_answers_are_read() -> None:
    count = 0
    for entry in load("lotus/golden_rpc"):
        if entry["response"].startswith("{") and "error" in entry["response"][:20]:
            error = response_from_json(json.loads(entry["response"])).error
            assert error is not None
            assert error.message
            count += 1
    assert count > 20


def test_recorded_frames_are_read() -> None:
    seen = set()
    for row in load("lotus/golden_ws"):
        if "frame" not in row:
            continue
        frame = frame_parse(row["frame"] if isinstance(row["frame"], str) else json.dumps(row["frame"]))
        seen.add(type(frame))
    assert {Request, Response, ChannelValue, ChannelClosed, Cancelled} <= seen


def test_channel_frames_have_no_id() -> None:
    value, closed = jsonrpc.channel_value(3, {"x": 1}), jsonrpc.channel_close(3)

    assert "id" not in value
    assert frame_parse(json.dumps(value)) == ChannelValue(3, {"x": 1})
    assert frame_parse(json.dumps(closed)) == ChannelClosed(3)
    assert frame_parse(json.dumps(jsonrpc.cancel(5))) == Cancelled(5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[1]",
        "{}",
        "nonsense",
        '{"method":"xrpc.ch.val","params":[]}',
        '{"method":"xrpc.other","params":[1]}',
        '{"method":5}',
        '{"id":1}',
    ],
)
def test_garbage_frames_are_ignored(text: str) -> None:
    assert frame_parse(text) is None


def test_incomplete_errors_are_read() -> None:
    assert jsonrpc.error_from_json("boom").message == "boom"
    assert jsonrpc.error_from_json({"message": "m"}).code == 1
    with pytest.raises(RpcError):
        response_from_json({"id": 1})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{TOKEN}:/ip4/127.0.0.1/tcp/1234/http", ApiInfo("127.0.0.1", 1234, "http", TOKEN)),
        ("token:/ip4/127.0.0.1/tcp/3453", ApiInfo("127.0.0.1", 3453, "ws", "token")),
        ("/dns/node.example.com/tcp/443/wss", ApiInfo("node.example.com", 443, "wss")),
        ("/ip6/::1/tcp/1/version/v0", ApiInfo("::1", 1, "ws", "", "/rpc/v0")),
        (f"{TOKEN}:http://host:3453", ApiInfo("host", 3453, "http", TOKEN)),
        ("https://host/rpc/v1", ApiInfo("host", 443, "https", "", "/rpc/v1")),
        ("node.example.com:1234", ApiInfo("node.example.com", 1234)),
        (f"{TOKEN}:host:1234", ApiInfo("host", 1234, "ws", TOKEN)),
    ],
)
def test_endpoints_as_lotus_and_venus_write_them(text: str, expected: ApiInfo) -> None:
    assert api_info_parse(text) == expected


def test_an_endpoint_has_urls_for_calls_and_channels() -> None:
    info = api_info_parse(f"{TOKEN}:/ip6/::1/tcp/1234")

    assert info.http_url() == "http://[::1]:1234/rpc/v1"
    assert info.ws_url("v0") == "ws://[::1]:1234/rpc/v0"
    assert info.headers == {"Authorization": f"Bearer {TOKEN}"}
    assert api_info_parse("https://h/rpc/v0").http_url() == "https://h:443/rpc/v0"
    assert api_info_parse("h:1").headers == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/ip4/1.2.3.4",
        "/ip4/1.2.3.4/udp/5",
        "/ip4/1.2.3.4/tcp/99999",
        "/ip4/1.2.3.4/tcp/1/quic",
        "ftp://x",
        "http://",
        "http://h:port",
        "/unix/x/tcp/1",
    ],
)
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(BadApiInfo):
        api_info_parse(text)


def test_refusals_do_not_repeat_the_token() -> None:
    with pytest.raises(BadApiInfo) as refusal:
        api_info_parse(f"{TOKEN}:http://h:port")

    assert TOKEN not in str(refusal.value)
