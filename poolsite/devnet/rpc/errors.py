"""Errors of the JSON-RPC interface, with the codes of go-jsonrpc and lotus.

Source: go-jsonrpc errors.go, handler.go; lotus api/api_errors.go.
"""

from __future__ import annotations

from typing import Any, Final

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
WRONG_PARAMS: Final = -32602
PANIC: Final = 0
"""A handler that panicked: no code of its own."""
APPLICATION: Final = 1
"""Any error that a Go handler returned."""
OUT_OF_GAS: Final = 2
EXECUTION_REVERTED: Final = 3
ACTOR_NOT_FOUND: Final = 11
NULL_ROUND: Final = 12

SERVER_FAULTS: Final = frozenset((PARSE_ERROR, METHOD_NOT_FOUND, WRONG_PARAMS, PANIC))
"""Codes that lotus answers with HTTP status 500."""


class RpcError(Exception):
    """An answer that is an error."""

    def __init__(self, message: str, *, code: int = APPLICATION, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.data = data

    def to_json(self) -> dict[str, Any]:
        """The member `error` of a response."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            body["data"] = self.data
        return body


def panic(method: str, reason: str) -> RpcError:
    """The answer to a call that made lotus dereference a null pointer."""
    text = f"fatal error calling '{method}': panic in rpc method '{method}': {reason}"
    return RpcError(text, code=PANIC)


def not_stored(cid: object) -> RpcError:
    """The answer for an object that the node does not have."""
    return RpcError(f"ipld: could not find {cid}")
