"""The caller's side of JSON-RPC: what is sent, which answer belongs to which call, what is no answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from poolsite.wire.jsonrpc.client import ClientSession, channel_read, request_write, result_read
from poolsite.wire.jsonrpc.messages import RpcError


class Wire:
    """Keeps the frames that a session sends."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.session = ClientSession(self.send)

    async def send(self, frame: str) -> None:
        self.frames.append(json.loads(frame))


def answer(number: int, **members: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, **members})


def test_request_has_the_members_that_go_reads():
    assert request_write(7, "Filecoin.ChainHead", ()) == {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "Filecoin.ChainHead",
        "params": [],
    }


def test_error_keeps_code_words_and_data():
    error = {"code": 3, "message": "reverted", "data": "0x01"}

    with pytest.raises(RpcError) as found:
        result_read({"id": 1, "error": error})

    assert (found.value.code, found.value.message, found.value.data) == (3, "reverted", "0x01")


@pytest.mark.parametrize("frame", [None, [], "x", {"error": "no"}, {"error": {"code": "x"}}])
def test_unreadable_answer_is_a_value_error(frame):
    with pytest.raises(ValueError, match="the response"):
        result_read(frame)


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        ({"method": "xrpc.ch.val", "params": [1, None]}, (True, [None])),
        ({"method": "xrpc.ch.close", "params": [1]}, (False, [])),
        ({"id": 1, "result": 1}, (True, [])),
    ],
)
def test_channel_frames_are_told_apart(frame, found):
    assert channel_read(frame) == found


@pytest.mark.parametrize("params", [None, [], [1], {"1": 2}, [1, 2, 3]])
def test_unreadable_channel_value_is_a_value_error(params):
    with pytest.raises(ValueError, match="two parameters"):
        channel_read({"method": "xrpc.ch.val", "params": params})


async def test_answers_reach_their_calls_in_any_order():
    wire = Wire()
    calls = [asyncio.create_task(wire.session.call("m", one, timeout_s=10)) for one in ("a", "b")]
    while len(wire.frames) < 2:
        await asyncio.sleep(0)

    for frame in reversed(wire.frames):
        assert wire.session.receive(answer(frame["id"], result=frame["params"][0])) is None

    assert await asyncio.gather(*calls) == ["a", "b"]
    assert wire.session.pending == {}


async def test_call_without_an_answer_times_out_and_is_forgotten():
    wire = Wire()

    with pytest.raises(TimeoutError):
        await wire.session.call("m", timeout_s=0.01)

    assert wire.session.pending == {}
    assert wire.session.receive(answer(wire.frames[0]["id"], result=1)) is None


def test_notification_is_returned_and_garbage_refused():
    session = Wire().session

    assert session.receive('{"method": "xrpc.ch.val", "params": [1, 2]}') == ("xrpc.ch.val", [1, 2])
    for garbage in ("{", "[]", "[" * 10_000, '{"id": []}', '{"id": {"a": 1}}'):
        with pytest.raises(ValueError, match="not a message"):
            session.receive(garbage)
