"""JSON-RPC as go-jsonrpc speaks it, over POST and WebSocket: method tables, parameters, answers, channels.

Transport-free: whoever holds the socket or the request gives frames in and sends what comes out.
Source: filecoin-project/go-jsonrpc handler.go, websocket.go; ipfs-force-community/go-jsonrpc v0.1.9,
the fork that venus, sophon and damocles link, whose texts we answer with.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import inspect
import itertools
import json
import logging
import math
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from poolsite.filecoin.address import UNDEF, Address, BadAddress, address_parse
from poolsite.filecoin.cids import BadCid, Cid, cid_parse

Json = Any

log = logging.getLogger(__name__)

CODE_APPLICATION: Final = 1
"""An error that the method returned."""
CODE_PANIC: Final = 0
"""An error that nobody foresaw."""
CODE_PARSE: Final = -32700
CODE_INVALID: Final = -32600
CODE_NO_METHOD: Final = -32601
CODE_PARAMS: Final = -32602
CODE_BUSY: Final = -32000
"""Not now: the server's own code, above those of the protocol."""
CALLS_MAX: Final = 1024
"""Calls under way on one socket; above that the next frame waits."""
BATCH_MAX: Final = 100
"""Requests in one batch."""


class RpcError(Exception):
    """Answered to the caller as a JSON-RPC error."""

    def __init__(
        self, message: str, *, code: int = CODE_APPLICATION, status: int = 200, data: Json = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        """HTTP status over POST; 500 for errors of the protocol, as the Go clients read no other."""
        self.data = data
        """What goes with some errors, such as the bytes of a reverted call; None for nothing."""


class BadParam(ValueError):
    """A parameter that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Param:
    """One positional parameter."""

    go: str
    """Go's name of its type, which its error text holds."""
    decode: Callable[[Json], Any]
    """Reads the JSON.  Raises BadParam."""


@dataclass(frozen=True, slots=True)
class RpcMethod:
    """One row of a method table."""

    perm: str
    """Level that the caller needs: read, write, sign, admin."""
    handler: Callable[..., Any]
    """Called with the call and the decoded parameters; plain, coroutine, or (over sockets) async generator
    function, which becomes a channel."""
    params: tuple[Param, ...] = ()
    scope: str = ""
    """Part of the interface: a token limited to parts reaches only methods of those parts."""
    void: bool = False
    """Returns only an error in Go: the answer has no `result`."""
    channel: bool = False
    """A coroutine that checks first and then gives an async iterator; generators are channels anyway."""
    is_raw: bool = False
    """Takes its parameters as they came, whatever their number."""
    is_long: bool = False
    """May wait for minutes."""
    operator_only: bool = False
    """A tenant's caller is refused whatever its level."""

    is_answer: bool = False
    """Brings the answer to a request of ours: no call, which rates do not count."""

    @property
    def is_channel(self) -> bool:
        """Whether its result is a channel, which needs a socket."""
        return self.channel or inspect.isasyncgenfunction(self.handler)


class Invoker(Protocol):
    """Finds a method, checks the caller, runs it."""

    async def __call__(self, method: str, params: list[Json], *, on_socket: bool) -> tuple[Json, bool]:
        """Give the result and whether the method is void.  Raises RpcError."""


def text(value: Json) -> str:
    """Read a string that a database can hold."""
    if not isinstance(value, str):
        raise BadParam("json: cannot unmarshal into Go value of type string")
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise BadParam("the text holds characters that are not allowed")
    return value


def number(value: Json) -> int:
    """Read a whole number of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**64:
        raise BadParam("json: cannot unmarshal into Go value of type int64")
    return value


def boolean(value: Json) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise BadParam("json: cannot unmarshal into Go value of type bool")
    return value


def blob(value: Json) -> bytes:
    """Read Go's []byte: base64 with padding; null is empty."""
    if value is None:
        return b""
    if not isinstance(value, str):
        raise BadParam("json: cannot unmarshal into Go value of type []uint8")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise BadParam("illegal base64 data") from None


def address(value: Json) -> Address:
    """Read an address with either prefix; empty text is the undefined one."""
    if value == "":
        return UNDEF
    try:
        return address_parse(text(value))
    except BadAddress as error:
        raise BadParam(str(error)) from None


def cid(value: Json) -> Cid:
    """Read `{"/": "bafy…"}`."""
    if not isinstance(value, dict) or not isinstance(value.get("/"), str):
        raise BadParam("invalid cid: not a link")
    try:
        return cid_parse(value["/"])
    except BadCid as error:
        raise BadParam(str(error)) from None


def identifier(value: Json) -> str:
    """Read a UUID."""
    try:
        return str(uuid.UUID(text(value)))
    except ValueError:
        raise BadParam("invalid UUID") from None


def fields(value: Json) -> dict[str, Json]:
    """Read an object; Go matches keys in any case, so they come out in lower case."""
    if not isinstance(value, dict):
        raise BadParam("json: cannot unmarshal into Go value of type struct")
    return {str(key).lower(): item for key, item in value.items()}


def anything(value: Json) -> Json:
    """Take any JSON."""
    return value


ANY: Final = Param("interface {}", anything)
TEXT: Final = Param("*string", text)
NUMBER: Final = Param("*int64", number)
BOOL: Final = Param("*bool", boolean)
BYTES: Final = Param("*[]uint8", blob)
ADDRESS: Final = Param("*address.Address", address)
CID: Final = Param("*cid.Cid", cid)
UUID: Final = Param("*types.UUID", identifier)
OBJECT: Final = Param("*struct", fields)


def list_of(item: Param) -> Param:
    """A slice; null is an empty one."""

    def decode(value: Json) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise BadParam("json: cannot unmarshal into Go value of type slice")
        return [item.decode(one) for one in value]

    return Param(f"*[]{item.go.removeprefix('*')}", decode)


def nullable(item: Param) -> Param:
    """A pointer; null is None."""
    return Param(f"*{item.go}", lambda value: None if value is None else item.decode(value))


def params_decode(name: str, method: RpcMethod, params: list[Json]) -> list[Any]:
    """Read the positional parameters.  Raises RpcError with the fork's texts."""
    if method.is_raw:
        return params
    if len(params) != len(method.params):
        message = f"(error code {CODE_PARAMS}) wrong param count (method '{name}'): "
        raise RpcError(f"{message}{len(params)} != {len(method.params)}", code=CODE_PARAMS, status=500)
    decoded = []
    for param, value in zip(method.params, params, strict=True):
        try:
            decoded.append(param.decode(value))
        except (BadParam, RecursionError) as error:
            message = (
                f"(error code {CODE_PARSE}) unmarshaling params for '{name}' (param: {param.go}): {error}"
            )
            raise RpcError(f"{message}: error code {CODE_PARSE}", code=CODE_PARSE, status=500) from None
    return decoded


def method_missing(name: str) -> RpcError:
    """Make the error for a method that no table has."""
    message = f"(error code {CODE_NO_METHOD}) method '{name}' not found"
    return RpcError(message, code=CODE_NO_METHOD, status=500)


def perm_missing(name: str, perm: str) -> RpcError:
    """Make the error for a caller whose level is too low; the two blanks are the peers' own."""
    return RpcError(f"missing permission to invoke '{name.rpartition('.')[2]}'  (need '{perm}')")


def reply_error(request_id: Json, error: RpcError) -> dict[str, Json]:
    """Build the answer of a call that failed."""
    body = {"code": error.code, "message": error.message}
    if error.data is not None:
        body["data"] = error.data
    return {"jsonrpc": "2.0", "id": request_id, "error": body}


def reply_result(request_id: Json, result: Json, *, void: bool = False) -> dict[str, Json]:
    """Build the answer of a call that went well."""
    reply = {"jsonrpc": "2.0", "id": request_id}
    return reply if void else {**reply, "result": result}


def frame_write(frame: Json) -> str:
    """Write one answer as the peers do: no blanks, a line feed at the end."""
    return _WRITER.encode(frame) + "\n"


def frame_read(data: str | bytes) -> Json:
    """Read one frame.  Raises RpcError for what is no JSON, however deep it nests."""
    try:
        if not isinstance(data, str):
            data = data.decode(json.detect_encoding(data), "surrogatepass")
        return json_read(data)
    except (ValueError, RecursionError):
        raise RpcError("Parse error", code=CODE_PARSE, status=500) from None


def json_read(text: str) -> Json:
    """Read JSON that can be written again: no NaN, no number beyond the largest float.  Raises ValueError."""
    return _READER.decode(text)


def _no_constant(word: str) -> Json:
    raise ValueError(f"{word} is no JSON")


def _finite(word: str) -> float:
    value = float(word)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


# Made once: `json.loads` with a hook and `json.dumps` with separators make one per call.
_READER: Final = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
_WRITER: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class Request:
    """One call, checked for its form."""

    id: Json
    """Number or text; None for a notification, which gets no answer."""
    method: str
    params: list[Json]


def request_read(frame: Json) -> Request:
    """Check the form of a request.  Raises RpcError."""
    if not isinstance(frame, dict) or not isinstance(frame.get("method"), str):
        raise RpcError("Invalid Request", code=CODE_INVALID, status=500)
    params = frame.get("params")
    if params is None:
        params = []
    if not isinstance(params, list):
        message = f"unmarshaling params for '{frame['method']}': params must be an array"
        raise RpcError(message, code=CODE_PARSE, status=500)
    return Request(id=id_read(frame.get("id")), method=frame["method"], params=params)


def id_read(value: Json) -> Json:
    """Take a number or text; whole floats are the same id as the number, as in Go."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | None):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


async def request_answer(frame: Json, invoke: Invoker) -> tuple[dict[str, Json] | None, int]:
    """Carry out one request of a POST.  Gives the answer (None for a notification) and the HTTP status."""
    request_id = id_read(frame.get("id")) if isinstance(frame, dict) else None
    try:
        request = request_read(frame)
        result, void = await invoke(request.method, request.params, on_socket=False)
    except RpcError as error:
        return reply_error(request_id, error), error.status
    except Exception as error:  # noqa: BLE001  # the outermost loop of a call: it is logged, and the others go on
        return reply_error(request_id, panic(frame, error)), 500
    return (None if request.id is None else reply_result(request.id, result, void=void)), 200


def panic(frame: Json, error: Exception) -> RpcError:
    """Log an error that nobody foresaw and give the answer, which tells nothing of our inside."""
    name = str(frame.get("method", "")) if isinstance(frame, dict) else ""
    log.error("rpc_panic method=%s", name[:100], exc_info=error)
    message = f"(error code {CODE_PANIC}) fatal error calling '{name[:100]}': internal error"
    return RpcError(message, code=CODE_PANIC, status=500)


async def body_answer(body: bytes, invoke: Invoker) -> tuple[int, str]:
    """Carry out a POST, one request or a batch.  Gives HTTP status and body (empty for notifications)."""
    try:
        frame = frame_read(body)
    except RpcError as error:
        return error.status, frame_write(reply_error(None, error))
    if not isinstance(frame, list):
        reply, status = await request_answer(frame, invoke)
        return status, "" if reply is None else frame_write(reply)
    if not frame or len(frame) > BATCH_MAX:
        refusal = RpcError(f"a batch holds 1 to {BATCH_MAX} requests", code=CODE_INVALID, status=500)
        return refusal.status, frame_write(reply_error(None, refusal))
    replies = [(await request_answer(one, invoke))[0] for one in frame]
    return 200, frame_write([reply for reply in replies if reply is not None])


class Closed(Exception):
    """The other side is gone; what we still wanted to say is dropped."""


@dataclass
class Session:
    """One WebSocket: calls under way, channels that we feed.  The holder gives it frames and closes it."""

    invoke: Invoker
    send: Callable[[str], Awaitable[None]]
    """Writes one frame; must not interleave, which one loop and whole frames make sure."""
    calls: dict[Json, asyncio.Task[None]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_MAX))

    async def receive(self, data: str | bytes) -> asyncio.Task[None] | None:
        """Take one frame; gives the call that it began.

        Calls run on their own: one may need the answer of a later one.
        """
        try:
            frame = frame_read(data)
        except RpcError as error:
            await self.send(frame_write(reply_error(None, error)))
            return None
        method = frame.get("method") if isinstance(frame, dict) else None
        if method == "xrpc.cancel":
            self.cancel(frame.get("params"))
            return None
        if method in {"xrpc.ch.val", "xrpc.ch.close"} or (
            not method and isinstance(frame, dict) and "id" in frame
        ):
            return None  # an answer or a value for a call that we never made
        await self.room.acquire()
        task = asyncio.create_task(self.answer(frame))
        self.tasks.add(task)
        request_id = id_read(frame.get("id")) if isinstance(frame, dict) else None
        if request_id is not None:
            self.calls[request_id] = task
        task.add_done_callback(lambda done: self.ended(request_id, done))
        return task

    def ended(self, request_id: Json, task: asyncio.Task[None]) -> None:
        """Forget a call."""
        self.room.release()
        self.tasks.discard(task)
        if self.calls.get(request_id) is task:
            del self.calls[request_id]

    def cancel(self, params: Json) -> None:
        """End a call or the channel that it opened; unknown ids are no error."""
        if isinstance(params, list) and params:
            request_id = id_read(params[0])
            task = self.calls.pop(request_id, None) if request_id is not None else None
            if task is not None:  # cancelled once: a second time would break off its farewell
                task.cancel()

    async def answer(self, frame: Json) -> None:
        """Carry out one call; where it opens a channel, feed that until it ends."""
        with suppress(Closed):
            await self.answer_open(frame)

    async def answer_open(self, frame: Json) -> None:
        """The same while somebody listens.  Raises Closed."""
        request_id = id_read(frame.get("id")) if isinstance(frame, dict) else None
        try:
            request = request_read(frame)
        except RpcError as error:  # no notification: an answer is due even where no id can be read
            await self.send(frame_write(reply_error(request_id, error)))
            return
        try:
            result, void = await self.invoke(request.method, request.params, on_socket=True)
            if isinstance(result, AsyncIterator):
                await self.feed(request_id, result)
                return
            reply = reply_result(request_id, result, void=void)
        except RpcError as error:
            reply = reply_error(request_id, error)
        except Closed:
            raise
        except Exception as error:  # noqa: BLE001  # the outermost loop of a call: it is logged, and the others go on
            reply = reply_error(request_id, panic(frame, error))
        if request_id is not None:
            await self.send(frame_write(reply))

    async def feed(self, request_id: Json, values: AsyncIterator[Json]) -> None:
        """Give the channel its number, then its values, then its end."""
        number_ = next(self.numbers)
        await self.send(frame_write(reply_result(request_id, number_)))
        try:
            async for value in values:
                await self.send(frame_write(notification("xrpc.ch.val", [number_, value])))
        finally:
            close = getattr(values, "aclose", None)
            if close is not None:
                await close()
            # after a cancellation too: a Go client ends its side of a channel only with this frame
            await self.send(frame_write(notification("xrpc.ch.close", [number_])))

    async def close(self) -> None:
        """The socket is gone: end every call and channel and wait for their clean-up."""
        tasks = tuple(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def notification(method: str, params: list[Json]) -> dict[str, Json]:
    """Build a frame that wants no answer."""
    return {"jsonrpc": "2.0", "method": method, "params": params}
