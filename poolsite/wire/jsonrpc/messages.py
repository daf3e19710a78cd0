"""Frames of JSON-RPC as go-jsonrpc writes them: requests read, answers and errors built.

Source: filecoin-project/go-jsonrpc handler.go; ipfs-force-community/go-jsonrpc v0.1.9, the fork that venus,
sophon and damocles link, whose texts we answer with.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Final

Json = Any
CANCEL: Final = "xrpc.cancel"
"""Notification that ends a call or the channel that it opened."""
CHANNEL_VALUE: Final = "xrpc.ch.val"
CHANNEL_CLOSE: Final = "xrpc.ch.close"
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
CODE_NOT_AGREED: Final = 11002
"""The account has not agreed to be served by the signer: a code of the pool's own."""


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


def method_missing(name: str) -> RpcError:
    """Return the error for a method that no table has."""
    message = f"(error code {CODE_NO_METHOD}) method '{name}' not found"
    return RpcError(message, code=CODE_NO_METHOD, status=500)


def perm_missing(name: str, perm: str) -> RpcError:
    """Return the error for a caller whose level is too low; the two blanks are the peers' own."""
    return RpcError(f"missing permission to invoke '{name.rpartition('.')[2]}'  (need '{perm}')")


def operator_missing(name: str, instead: str = "") -> RpcError:
    """Return the error for a tenant's caller of a method that no level of a tenant's token allows."""
    hint = f": {instead}" if instead else ""
    method = name.rpartition(".")[2]
    return RpcError(f"missing permission to invoke '{method}'  (only the pool's operator may){hint}")


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


def json_read(text: str, *, is_unique: bool = False) -> Json:
    """Read JSON that can be written again: no NaN, no number beyond the largest float.  Raises ValueError.

    `is_unique` refuses an object with two fields of one name; Go's programs take the last.
    """
    return (_UNIQUE_READER if is_unique else _READER).decode(text)


def _no_constant(word: str) -> Json:
    raise ValueError(f"{word} is not valid JSON")


def _finite(word: str) -> float:
    value = float(word)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _unique(pairs: list[tuple[str, Json]]) -> Json:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:100]!r} is given more than once")
    return made


# Made once: `json.loads` with a hook and `json.dumps` with separators make one per call.
_READER: Final = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
_UNIQUE_READER: Final = json.JSONDecoder(
    parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_unique
)
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
    request_id = id_read(frame.get("id"))
    if request_id is None and frame.get("id") is not None:
        raise RpcError("failed to parse ID: an id is a number or a text", code=CODE_PARSE, status=500)
    return Request(id=request_id, method=frame["method"], params=params)


def id_read(value: Json) -> Json:
    """Return a number or text, else None; whole floats are the same id as the number, as in Go."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | None):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def notification(method: str, params: list[Json]) -> dict[str, Json]:
    """Build a frame that wants no answer."""
    return {"jsonrpc": "2.0", "method": method, "params": params}
