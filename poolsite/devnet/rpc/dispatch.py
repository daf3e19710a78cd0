"""One JSON-RPC request: parsed, allowed, its parameters read, its method called.

Source: go-jsonrpc handler.go; recorded exchanges of a lotus node.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.rpc.errors import SERVER_FAULTS, panic
from poolsite.devnet.rpc.params import PARAM_ERRORS
from poolsite.devnet.store import StateGone
from poolsite.wire.jsonrpc.messages import (
    CODE_INVALID,
    CODE_NO_METHOD,
    CODE_PARAMS,
    CODE_PARSE,
    RpcError,
    reply_error,
    reply_result,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from poolsite.wire.jsonrpc.parameters import Param

log = logging.getLogger(__name__)

PERMS: Final = ("read", "write", "sign", "admin")
"""Permissions in rising order; a token names each it grants."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the interface."""

    name: str
    """Name without namespace, as refusals of permission print it."""
    perm: str
    """Least permission."""
    params: tuple[Param, ...]
    """Readers of the positional parameters."""
    handler: Callable[..., Any]
    """Called with the node and the values; a coroutine function is awaited."""
    slow: bool = False
    """Whether it computes long enough to leave the event loop."""
    optional: int = 0
    """How many of the last parameters only one of lotus and venus has."""
    channel: bool = False
    """Whether its answer is a channel of values: the handler then also takes a `Channel`."""
    raw: bool = False
    """Whether the handler reads the list of parameters itself."""
    callbacks: bool = False
    """Whether it calls back on the same socket: the handler then also takes `Callbacks`."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Where a subscription sends its values; methods may be called from any thread."""

    send: Callable[[Any], None]
    """Return the next value (JSON)."""
    on_close: Callable[[Callable[[], None]], None]
    """Register what ends the subscription."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """How a method goes on talking to its caller; may be used from any thread."""

    notify: Callable[[str, Any], None]
    """Send a notification: method and params."""
    on_close: Callable[[Callable[[], Any]], None]
    """Register what ends it when the socket goes."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who asks, on which interface."""

    node: Any
    """The devnet."""
    methods: Mapping[str, Method]
    """Method table of the path, by full name."""
    perms: frozenset[str]
    """Permissions of the caller."""
    executor: Executor
    """Where slow methods run."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response and the HTTP status it has when it is alone."""

    body: dict[str, Any] | None
    """None for notifications, which get no answer."""
    status: int = 200

    def text(self) -> str:
        return "" if self.body is None else json.dumps(self.body, separators=(",", ":")) + "\n"


def failure(error: RpcError, request_id: Any, *, status: int | None = None) -> Answer:
    """The response that reports an error."""
    code = 500 if error.code in SERVER_FAULTS else 200
    body = dict(sorted(reply_error(request_id, error).items()))
    return Answer(body, code if status is None else status)


def invalid_request() -> Answer:
    """The answer to an empty body or batch."""
    return failure(RpcError("Invalid request", code=CODE_INVALID), None, status=400)


def parse_error() -> Answer:
    """The answer to a body that is no JSON."""
    return failure(RpcError("Parse error", code=CODE_PARSE), None)


async def request_answer(
    session: Session, request: Any, channel: Channel | None = None, *, callbacks: Callbacks | None = None
) -> Answer:
    """Answer one request object; never raises."""
    if not isinstance(request, dict):
        return parse_error()
    request_id = request.get("id")
    name = request.get("method")
    name = name if isinstance(name, str) else ""
    try:
        result = await _call(session, name, request.get("params"), back=channel or callbacks)
    except (RpcError, StateGone) as error:
        answer = failure(error if isinstance(error, RpcError) else RpcError(str(error)), request_id)
    except Exception:
        # The outermost place of a request: lotus answers a panic with the text of the panic.
        log.exception("rpc method=%s", name)
        answer = failure(panic(name, traceback.format_exc(limit=-1).strip().splitlines()[-1]), request_id)
    else:
        answer = Answer(dict(sorted(reply_result(request_id, result).items())))
    return (
        Answer(None, answer.status) if request_id is None and "error" not in (answer.body or {}) else answer
    )


async def _call(session: Session, name: str, params: Any, *, back: Channel | Callbacks | None) -> Any:
    method = session.methods.get(name)
    if method is None:
        raise RpcError(f"method '{name}' not found", code=CODE_NO_METHOD)
    values = _values(name, method, params)
    if method.perm not in session.perms:
        raise RpcError(f"missing permission to invoke '{method.name}' (need '{method.perm}')")
    await session.node.faults.before_answer(name)
    result = await _result(session, name, method, values=values, back=back)
    return session.node.faults.distorted(name, result)


async def _result(
    session: Session, name: str, method: Method, *, values: list[Any], back: Channel | Callbacks | None
) -> Any:
    if method.channel:
        if not isinstance(back, Channel):
            text = f"method '{name}' not supported in this mode (no out channel support)"
            raise RpcError(text, code=CODE_NO_METHOD)
        return method.handler(session.node, back, *values)
    if method.callbacks:
        if not isinstance(back, Callbacks):
            raise RpcError("connection doesn't support callbacks")
        return method.handler(session.node, back, *values)
    if inspect.iscoroutinefunction(method.handler):
        return await method.handler(session.node, *values)
    if method.slow:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(session.executor, method.handler, session.node, *values)
    return method.handler(session.node, *values)


def _values(name: str, method: Method, params: Any) -> list[Any]:
    if params is None:
        params = []
    if not isinstance(params, list):
        kind = {dict: "object", str: "string", bool: "bool"}.get(type(params), "number")
        text = (
            f"unmarshaling param array: json: cannot unmarshal {kind} into Go value of type []jsonrpc.param"
        )
        raise RpcError(text, code=CODE_PARSE)
    if method.raw:
        return [params]
    least = len(method.params) - method.optional
    if not least <= len(params) <= len(method.params):
        text = f"wrong param count (method '{name}'): {len(params)} != {least}"
        raise RpcError(text, code=CODE_PARAMS)
    values = []
    for param, value in zip(method.params, params, strict=False):
        try:
            values.append(param.decode(value))
        except PARAM_ERRORS as error:
            text = f"unmarshaling params for '{name}' (param: *{param.go}): {error}"
            raise RpcError(text, code=CODE_PARSE) from None
    return values
