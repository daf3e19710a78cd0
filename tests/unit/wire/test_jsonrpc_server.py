from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from poolsite.wire.jsonrpc.messages import RpcError, method_missing
from poolsite.wire.jsonrpc.parameters import (
    BOOL,
    BYTES,
    CID,
    NUMBER,
    OBJECT,
    UUID,
    BadParam,
    RpcMethod,
    blob,
    list_of,
    nullable,
    params_decode,
)
from poolsite.wire.jsonrpc.server import CALLS_MAX, Closed, Session, body_handle


class Peer:
    """One side of a socket: what our session sends is kept in order."""

    def __init__(self) -> None:
        self.is_gone = False
        self.is_slow = False
        self.writes = asyncio.Event()
        """When a slow socket takes what is sent."""
        self.frames: list[Any] = []
        self.ended: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.session = Session(self.invoke, self.send)

    async def send(self, text: str) -> None:
        if self.is_gone:
            raise Closed
        if self.is_slow:
            await self.writes.wait()
        self.frames.append(json.loads(text))

    async def invoke(self, method: str, params: list[Any], *, on_socket: bool) -> tuple[Any, bool]:
        if method == "T.Wait":
            await self.gate(params[0]).wait()
            return params[0], False
        if method == "T.Void":
            return None, True
        if method == "T.Count":
            return self.count(params[0]), False
        if method == "T.Ticks":
            return self.ticks(), False
        if method == "T.Panic":
            raise ZeroDivisionError
        raise method_missing(method)

    def gate(self, name: str) -> asyncio.Event:
        return self.gates.setdefault(name, asyncio.Event())

    async def count(self, most: int) -> AsyncIterator[int]:
        for number in range(most):
            yield number

    async def ticks(self) -> AsyncIterator[str]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            self.ended.append("ticks")

    async def ask(self, **frame: Any) -> None:
        await self.session.receive(json.dumps(frame))
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_answers_come_in_the_order_in_which_they_are_ready():
    peer = Peer()
    await peer.ask(id=1, method="T.Wait", params=["a"])
    await peer.ask(id=2, method="T.Wait", params=["b"])

    peer.gate("b").set()
    await settle()
    peer.gate("a").set()
    await settle()

    assert [(frame["id"], frame["result"]) for frame in peer.frames] == [(2, "b"), (1, "a")]


async def test_a_channel_tells_its_number_before_its_values_and_its_end():
    peer = Peer()

    await peer.ask(id=7, method="T.Count", params=[2])

    assert peer.frames == [
        {"jsonrpc": "2.0", "id": 7, "result": 1},
        {"jsonrpc": "2.0", "method": "xrpc.ch.val", "params": [1, 0]},
        {"jsonrpc": "2.0", "method": "xrpc.ch.val", "params": [1, 1]},
        {"jsonrpc": "2.0", "method": "xrpc.ch.close", "params": [1]},
    ]


async def test_who_went_away_is_no_failure_of_the_call(caplog):
    peer = Peer()
    await peer.ask(id=1, method="T.Ticks", params=[])
    await peer.ask(id=2, method="T.Wait", params=["a"])

    peer.is_gone = True
    peer.gate("a").set()
    await settle()
    await peer.session.close()

    assert peer.ended == ["ticks"]
    assert caplog.records == []


async def test_channel_numbers_are_never_used_twice():
    peer = Peer()

    await peer.ask(id=1, method="T.Count", params=[0])
    await peer.ask(id=1, method="T.Count", params=[0])

    assert [frame["result"] for frame in peer.frames if "result" in frame] == [1, 2]


async def test_cancelling_ends_a_channel_and_its_clean_up_runs():
    peer = Peer()
    await peer.ask(id=1, method="T.Ticks")

    await peer.ask(method="xrpc.cancel", params=[1])

    assert peer.ended == ["ticks"]


@pytest.mark.parametrize("params", [None, [], [99], ["x"], 3, [None], [[1]]])
async def test_cancelling_something_unknown_is_no_error(params):
    peer = Peer()

    await peer.ask(method="xrpc.cancel", params=params)

    assert peer.frames == []


async def test_a_cancelled_call_is_answered_once():
    peer = Peer()
    await peer.ask(id=1, method="T.Wait", params=["never"])
    await peer.session.receive(json.dumps({"id": 2, "method": "T.Wait", "params": ["never"]}))

    for number in (2, 1, 1):  # 2 had not begun
        await peer.session.receive(json.dumps({"method": "xrpc.cancel", "params": [number]}))
    await settle()

    assert sorted(peer.frames, key=lambda frame: frame["id"]) == [
        {"jsonrpc": "2.0", "id": number, "error": {"code": 1, "message": "context canceled"}}
        for number in (1, 2)
    ]
    assert not peer.session.tasks


async def test_an_answer_that_is_being_sent_is_not_cancelled():
    peer = Peer()
    await peer.ask(id=1, method="T.Wait", params=["a"])
    peer.is_slow = True
    peer.gate("a").set()
    await settle()

    await peer.ask(method="xrpc.cancel", params=[1])
    peer.writes.set()
    await settle()

    assert [frame["result"] for frame in peer.frames] == ["a"]


async def test_a_closed_socket_ends_calls_and_channels():
    peer = Peer()
    await peer.ask(id=1, method="T.Wait", params=["never"])
    await peer.ask(id=2, method="T.Ticks")

    await peer.session.close()

    assert peer.ended == ["ticks"]
    assert not peer.session.calls
    assert not peer.session.tasks
    assert not any("error" in frame for frame in peer.frames)


async def test_a_void_method_has_no_result_and_a_notification_no_answer():
    peer = Peer()

    await peer.ask(id=1, method="T.Void")
    await peer.ask(method="T.Void")

    assert peer.frames == [{"jsonrpc": "2.0", "id": 1}]


async def test_an_unforeseen_error_is_answered_and_the_socket_goes_on():
    peer = Peer()

    await peer.ask(id=1, method="T.Panic")
    await peer.ask(id=2, method="T.Void")

    assert peer.frames[0]["error"]["code"] == 0
    assert "ZeroDivision" not in json.dumps(peer.frames)
    assert peer.frames[1] == {"jsonrpc": "2.0", "id": 2}


@pytest.mark.parametrize(
    "data",
    ["", "{", "null", "3", '"x"', "[]", "[" * 100_000, b"\xff", '{"id": 1}', "NaN"]
    + [f'{{"id": 1, "method": {method}}}' for method in ("7", "[]", '["T.Void"]', "{}", '{"a": 1}', "false")],
)
async def test_nonsense_does_not_end_the_socket(data):
    peer = Peer()

    await peer.session.receive(data)
    await settle()
    await peer.ask(id=2, method="T.Void")

    assert peer.frames[-1] == {"jsonrpc": "2.0", "id": 2}
    assert all("error" in frame for frame in peer.frames[:-1])


async def test_too_many_calls_wait_for_room():
    peer = Peer()
    for number in range(CALLS_MAX):
        await peer.session.receive(json.dumps({"id": number, "method": "T.Wait", "params": ["a"]}))

    blocked = asyncio.create_task(peer.session.receive(json.dumps({"id": -1, "method": "T.Void"})))
    await settle()
    assert not blocked.done()
    peer.gate("a").set()
    await blocked
    await settle()

    assert len(peer.frames) == CALLS_MAX + 1


@pytest.mark.parametrize("number", [True, False, [1], [], {"a": 1}])
async def test_a_call_under_an_id_of_another_type_is_not_carried_out(number):
    peer = Peer()
    frame = {"id": number, "method": "T.Count", "params": [0]}
    refusal = {"code": -32700, "message": "failed to parse ID: an id is a number or a text"}

    await peer.ask(**frame)
    status, text = await body_handle(json.dumps(frame).encode(), peer.invoke)

    assert peer.frames == [json.loads(text)] == [{"jsonrpc": "2.0", "id": None, "error": refusal}]
    assert status == 500


def read(param: Any, value: Any) -> Any:
    return params_decode("T.M", RpcMethod("read", print, (param,)), [value])[0]


@pytest.mark.parametrize(
    ("param", "value", "result"),
    [
        (BYTES, None, b""),
        (BYTES, "", b""),
        (BYTES, "aGk=", b"hi"),
        (NUMBER, 2**64 - 1, 2**64 - 1),
        (BOOL, False, False),
        (OBJECT, {"AbC": 1}, {"abc": 1}),
        (list_of(NUMBER), None, []),
        (list_of(NUMBER), [1, 2], [1, 2]),
        (nullable(NUMBER), None, None),
        (UUID, "C2AAABB3-ebfa-4339-9de8-fd59f479ab5f", "c2aaabb3-ebfa-4339-9de8-fd59f479ab5f"),
    ],
)
def test_parameters_are_read_as_go_reads_them(param, value, result):
    assert read(param, value) == result


@pytest.mark.parametrize(
    ("param", "value"),
    [
        (BYTES, "aGk"),
        (BYTES, [104]),
        (NUMBER, 1.0),
        (NUMBER, True),
        (NUMBER, 2**64),
        (NUMBER, "1"),
        (BOOL, 1),
        (OBJECT, []),
        (list_of(NUMBER), {}),
        (list_of(NUMBER), [None]),
        (UUID, "x"),
        (CID, {"/": "bafy"}),
        (CID, "bafy"),
        (CID, None),
    ],
)
def test_parameters_of_other_types_are_refused(param, value):
    with pytest.raises(RpcError, match=r"unmarshaling params for 'T\.M'") as refusal:
        read(param, value)

    assert (refusal.value.code, refusal.value.status) == (-32700, 500)


def test_bytes_name_what_is_wrong():
    with pytest.raises(BadParam, match="illegal base64 data"):
        blob("****")
