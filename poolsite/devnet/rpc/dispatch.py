"""The node's side of JSON-RPC: methods found, callers allowed, parameters read; frames are the wire's.

Source: go-jsonrpc handler.go; recorded exchanges of a lotus node.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from poolsite.devnet.rpc.errors import SERVER_FAULTS, panic
from poolsite.devnet.rpc.params import PARAM_ERRORS
from poolsite.devnet.store import StateGone
from poolsite.wire.jsonrpc.messages import CODE_NO_METHOD, CODE_PARAMS, CODE_PARSE, Request, RpcError
from poolsite.wire.jsonrpc.server import Dialect

if TYPE_CHECKING:
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


class Channel:
    """The values of a subscription; handlers may send them from any thread, the socket reads them."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.values: asyncio.Queue[Any] = asyncio.Queue()
        self.closers: list[Callable[[], Any]] = []
        self.on_close = self.closers.append
        """Registers what ends the subscription."""

    def send(self, value: Any) -> None:
        """Send the next value (JSON)."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.values.put_nowait, value)

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> Any:
        return await self.values.get()

    async def aclose(self) -> None:
        """End the subscription."""
        for closer in self.closers:
            closer()


@dataclass(frozen=True, slots=True)
class Callbacks:
    """How a method goes on talking to its caller; may be used from any thread."""

    notify: Callable[[str, Any], None]
    """Send a notification: method and params."""
    on_close: Callable[[Callable[[], Any]], None]
    """Register what ends it when the socket goes."""


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Finds a method of one interface, checks the caller, runs it."""

    node: Any
    """The devnet."""
    methods: Mapping[str, Method]
    """Method table of the path, by full name."""
    perms: frozenset[str]
    """Permissions of the caller."""
    executor: Executor
    """Where slow methods run."""
    callbacks: Callbacks | None = None
    """Of a caller's socket."""

    async def __call__(self, method: str, params: Any, *, on_socket: bool) -> tuple[Any, bool]:
        """Return the result, and that no method is void.  Raises RpcError."""
        try:
            return await self._call(method, params, on_socket=on_socket), False
        except StateGone as error:
            raise RpcError(str(error)) from None
        except RpcError as error:
            error.status = 500 if error.code in SERVER_FAULTS else 200
            raise

    async def _call(self, name: str, params: Any, *, on_socket: bool) -> Any:
        method = self.methods.get(name)
        if method is None:
            raise RpcError(f"method '{name}' not found", code=CODE_NO_METHOD)
        values = _values(name, method, params)
        if method.perm not in self.perms:
            raise RpcError(f"missing permission to invoke '{method.name}' (need '{method.perm}')")
        await self.node.faults.before_answer(name)
        if method.channel:
            return self._channel(name, method, values, on_socket=on_socket)
        return self.node.faults.distorted(name, await self._result(method, values))

    def _channel(self, name: str, method: Method, values: list[Any], *, on_socket: bool) -> Channel:
        if not on_socket:
            text = f"method '{name}' not supported in this mode (no out channel support)"
            raise RpcError(text, code=CODE_NO_METHOD)
        channel = Channel()
        method.handler(self.node, channel, *values)
        return channel

    async def _result(self, method: Method, values: list[Any]) -> Any:
        if method.callbacks:
            if self.callbacks is None:
                raise RpcError("connection doesn't support callbacks")
            return method.handler(self.node, self.callbacks, *values)
        if inspect.iscoroutinefunction(method.handler):
            return await method.handler(self.node, *values)
        if method.slow:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.executor, method.handler, self.node, *values)
        return method.handler(self.node, *values)


def lotus_request_read(frame: Any) -> Request:
    """Read a request as lotus does: what is no method is not found, the dispatcher reads parameters.

    Raises RpcError.
    """
    if not isinstance(frame, dict):
        raise RpcError("Parse error", code=CODE_PARSE, status=500)
    name, params = frame.get("method"), cast("Any", frame.get("params"))
    return Request(frame.get("id"), name if isinstance(name, str) else "", params)


def lotus_panic(frame: Any, error: Exception) -> RpcError:
    """Log an error that nobody foresaw and answer as lotus does, with the text of the panic."""
    name = str(frame.get("method"))
    log.error("rpc method=%s", name, exc_info=error)
    refusal = panic(name, traceback.format_exception(error, limit=-1)[-1].strip())
    refusal.status = 500
    return refusal


LOTUS: Final = Dialect(read=lotus_request_read, panic=lotus_panic, batch_max=None)
"""As the original go-jsonrpc speaks, which lotus links."""


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
