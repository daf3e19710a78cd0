"""JSON-RPC as go-jsonrpc speaks it: requests, answers, errors, WebSocket channels, and API addresses.

Source: filecoin-project/go-jsonrpc v0.10.2 handler.go, websocket.go, errors.go; lotus api/api_errors.go,
cli/util/apiinfo.go; venus-shared/api/url.go.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

PARSE_ERROR: Final = -32700
"""Not JSON, or a parameter of the wrong type."""
INVALID_REQUEST: Final = -32600
"""JSON, but no request."""
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
"""Wrong number of parameters."""
RPC_ERROR: Final = 1
"""An error of the method without a code of its own."""
OUT_OF_GAS: Final = 2
EXECUTION_REVERTED: Final = 3
F3_DISABLED: Final = 4
ACTOR_NOT_FOUND: Final = 11
NULL_ROUND: Final = 12
LIMIT_EXCEEDED: Final = -32005
CONNECTION_LOST: Final = -1111111
"""go-jsonrpc's own code for a connection that broke under a call."""

CHANNEL_VALUE: Final = "xrpc.ch.val"
"""Notification with a value of a channel."""
CHANNEL_CLOSE: Final = "xrpc.ch.close"
"""Notification that a channel has ended."""
CANCEL: Final = "xrpc.cancel"
"""The client gives up a request or channel, named by the id of its request."""

Id = str | int | float | None
"""Identifier of a request; None for notifications."""


class RpcError(Exception):
    """An error answer, raised by methods and by clients."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def to_json(self) -> dict[str, Any]:
        """The error object; data only where there is any."""
        result: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            result["data"] = self.data
        return result


@dataclass(frozen=True, slots=True)
class Request:
    """One call."""

    method: str
    """Full name, for example `Filecoin.ChainHead`."""
    params: tuple[Any, ...] = ()
    """Positional parameters."""
    id: Id = None
    """None if no answer is wanted."""
    meta: dict[str, Any] | None = None
    """go-jsonrpc's tracing member, ignored."""

    @property
    def is_notification(self) -> bool:
        """Whether no answer is wanted."""
        return self.id is None

    @property
    def namespace(self) -> str:
        """What stands before the point of the method's name; empty if nothing does."""
        return self.method.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Response:
    """One answer."""

    id: Id
    """Identifier of the request."""
    result: Any = None
    """What the method returned."""
    error: RpcError | None = None
    """Set if the method failed."""

    def unwrap(self) -> Any:
        """The result.  Raises RpcError if the method failed."""
        if self.error is not None:
            raise self.error
        return self.result


def request_to_json(request: Request) -> dict[str, Any]:
    """The request object."""
    result: dict[str, Any] = {"jsonrpc": "2.0", "method": request.method, "params": list(request.params)}
    if request.id is not None:
        result["id"] = request.id
    return result


def request_from_json(value: Any) -> Request:
    """Read a request object.  Raises RpcError with the code that go-jsonrpc answers."""
    if not isinstance(value, dict):
        raise RpcError(PARSE_ERROR, "Parse error")
    method, params, request_id = value.get("method", ""), value.get("params"), value.get("id")
    if not isinstance(method, str) or not _is_id(request_id):
        raise RpcError(PARSE_ERROR, "Parse error")
    if params is None:
        params = []
    if not isinstance(params, list):
        raise RpcError(PARSE_ERROR, f"unmarshaling param array: json: cannot unmarshal {_kind(params)}")
    meta = value.get("meta")
    return Request(method, tuple(params), request_id, meta if isinstance(meta, dict) else None)


def body_parse(body: bytes | str) -> Any:
    """Read a body as JSON.  Raises RpcError: Parse error, or Invalid request for nothing at all."""
    if not body.strip():
        raise RpcError(INVALID_REQUEST, "Invalid request")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "Parse error") from None
    if value == []:
        raise RpcError(INVALID_REQUEST, "Invalid request")
    return value


def response_to_json(response: Response) -> dict[str, Any]:
    """The answer object: either error or result, which is null for methods without one."""
    if response.error is not None:
        return {"error": response.error.to_json(), "id": response.id, "jsonrpc": "2.0"}
    return {"id": response.id, "jsonrpc": "2.0", "result": response.result}


def response_from_json(value: Any) -> Response:
    """Read an answer object.  Raises RpcError if it is none."""
    if not isinstance(value, dict) or not ("result" in value or "error" in value):
        raise RpcError(CONNECTION_LOST, "the peer's answer is no JSON-RPC response")
    error = value.get("error")
    if error is not None:
        return Response(value.get("id"), error=error_from_json(error))
    return Response(value.get("id"), value.get("result"))


def error_from_json(value: Any) -> RpcError:
    """Read an error object, however incomplete."""
    if not isinstance(value, dict):
        return RpcError(RPC_ERROR, str(value))
    code = value.get("code")
    return RpcError(
        code if isinstance(code, int) else RPC_ERROR, str(value.get("message", "")), value.get("data")
    )


def method_not_found(method: str) -> RpcError:
    """go-jsonrpc's error for an unknown method."""
    return RpcError(METHOD_NOT_FOUND, f"method '{method}' not found")


def wrong_param_count(method: str, *, got: int, wanted: int) -> RpcError:
    """go-jsonrpc's error for a wrong number of parameters."""
    return RpcError(INVALID_PARAMS, f"wrong param count (method '{method}'): {got} != {wanted}")


def bad_param(method: str, type_name: str, detail: str) -> RpcError:
    """go-jsonrpc's error for an unreadable parameter; `type_name` is Go's, such as `address.Address`."""
    return RpcError(PARSE_ERROR, f"unmarshaling params for '{method}' (param: *{type_name}): {detail}")


def missing_permission(method: str, perm: str) -> RpcError:
    """Lotus' error for a token without the method's permission; `method` without its namespace."""
    return RpcError(RPC_ERROR, f"missing permission to invoke '{method}' (need '{perm}')")


def channel_value(channel: int, value: Any) -> dict[str, Any]:
    """The frame that carries a value of a channel; it has no id member, as lotus sends it."""
    return {"jsonrpc": "2.0", "method": CHANNEL_VALUE, "params": [channel, value]}


def channel_close(channel: int) -> dict[str, Any]:
    """The frame that ends a channel."""
    return {"jsonrpc": "2.0", "method": CHANNEL_CLOSE, "params": [channel]}


def cancel(request_id: Id) -> dict[str, Any]:
    """The frame by which a client gives up a request or the channel that it opened."""
    return {"jsonrpc": "2.0", "method": CANCEL, "params": [request_id]}


@dataclass(frozen=True, slots=True)
class ChannelValue:
    """A value that arrived on a channel."""

    channel: int
    value: Any


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """The peer ended a channel."""

    channel: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The client gave up a request."""

    request_id: Id


Frame = Request | Response | ChannelValue | ChannelClosed | Cancelled
"""Everything that one WebSocket message can be."""


def frame_parse(text: str | bytes) -> Frame | None:
    """Read one WebSocket message; None for what lotus ignores silently (arrays, garbage)."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    if "method" not in value:
        return response_from_json(value) if "result" in value or "error" in value else None
    try:
        request = request_from_json(value)
    except RpcError:
        return None
    return _control(request) if request.method.startswith("xrpc.") else request


def _control(request: Request) -> Frame | None:
    params = request.params
    if request.method == CANCEL and params and _is_id(params[0]):
        return Cancelled(params[0])
    if not params or not isinstance(params[0], int):
        return None
    if request.method == CHANNEL_VALUE and len(params) == 2:
        return ChannelValue(params[0], params[1])
    return ChannelClosed(params[0]) if request.method == CHANNEL_CLOSE else None


def _is_id(value: Any) -> bool:
    return value is None or (isinstance(value, str | int | float) and not isinstance(value, bool))


def _kind(value: Any) -> str:
    names = {dict: "object", str: "string", int: "number", float: "number", bool: "bool"}
    return f"{names.get(type(value), 'value')} into Go value of type []jsonrpc.param"


class BadApiInfo(ValueError):
    """Text that names no API endpoint."""


@dataclass(frozen=True, slots=True)
class ApiInfo:
    """Where an API listens and with which token."""

    host: str
    """Name or address; IPv6 without brackets."""
    port: int
    """TCP port."""
    scheme: str = "ws"
    """ws, wss, http or https."""
    token: str = ""
    """JSON web token; empty for none."""
    path: str = ""
    """Path of the URL; empty where the caller chooses the version."""

    def url(self, version: str = "v1", *, scheme: str | None = None) -> str:
        """The URL to call, `/rpc/<version>` unless the text named a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = self.path if self.path not in ("", "/") else f"/rpc/{version}"
        return f"{scheme or self.scheme}://{host}:{self.port}{path}"

    def http_url(self, version: str = "v1") -> str:
        """The URL for single calls."""
        return self.url(version, scheme="https" if self.scheme in ("wss", "https") else "http")

    def ws_url(self, version: str = "v1") -> str:
        """The URL for channels."""
        return self.url(version, scheme="wss" if self.scheme in ("wss", "https") else "ws")

    @property
    def headers(self) -> dict[str, str]:
        """The Authorization header; nothing without a token."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


_SCHEMES: Final = ("ws", "wss", "http", "https")
_HOST_PROTOCOLS: Final = ("ip4", "ip6", "dns", "dns4", "dns6")


def api_info_parse(text: str) -> ApiInfo:
    """Read an API address as lotus and venus write it: `[token:]multiaddr` or `[token:]URL`.

    For example `token:/ip4/127.0.0.1/tcp/1234/http`, `/dns/node/tcp/3453`, `token:https://node/rpc/v1`,
    `token:host:1234`.  Raises BadApiInfo, which never contains the token.
    """
    text = text.strip()
    head, colon, rest = text.partition(":")
    token = ""
    if colon and head not in _SCHEMES and _is_endpoint(rest, after=head):
        token, text = head, rest
    if text.startswith("/"):
        return _multiaddr_parse(text, token)
    return _url_parse(text if "://" in text else f"ws://{text}", token)


def _is_endpoint(rest: str, *, after: str) -> bool:
    """Whether what follows the first colon is an endpoint of its own, so that a token stands before it."""
    return rest.startswith("/") or "://" in rest or after.startswith("eyJ")


def _multiaddr_parse(text: str, token: str) -> ApiInfo:
    parts = text.strip("/").split("/")
    if len(parts) < 4 or parts[0] not in _HOST_PROTOCOLS or parts[2] != "tcp":
        raise BadApiInfo(f"unsupported multiaddr {text[:80]!r}: expected /ip4|ip6|dns/HOST/tcp/PORT")
    scheme, path, extra = "ws", "", parts[4:]
    if extra and extra[0] in _SCHEMES:
        scheme, extra = extra[0], extra[1:]
    if len(extra) == 2 and extra[0] == "version":
        path, extra = f"/rpc/{extra[1]}", []
    if extra:
        raise BadApiInfo(f"unsupported multiaddr {text[:80]!r}")
    return ApiInfo(parts[1], _port(parts[3]), scheme, token, path)


def _url_parse(text: str, token: str) -> ApiInfo:
    try:
        url = urlsplit(text)
        port, host = url.port, url.hostname
    except ValueError:
        raise BadApiInfo("the API's URL is malformed") from None
    if url.scheme not in _SCHEMES or not host:
        raise BadApiInfo("an API address is a multiaddr or a ws, wss, http or https URL")
    if port is None:
        port = 443 if url.scheme in ("wss", "https") else 80
    return ApiInfo(host, port, url.scheme, token, url.path)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5) or not 0 < int(text) < 65536:
        raise BadApiInfo(f"invalid port {text[:10]!r}")
    return int(text)
