"""Errors of the node's interface beside those of JSON-RPC, with lotus' codes.

Source: go-jsonrpc errors.go, handler.go; lotus api/api_errors.go.
"""

from __future__ import annotations

from typing import Final

from poolsite.wire.jsonrpc.messages import CODE_NO_METHOD, CODE_PANIC, CODE_PARAMS, CODE_PARSE, RpcError

OUT_OF_GAS: Final = 2
EXECUTION_REVERTED: Final = 3
ACTOR_NOT_FOUND: Final = 11
NULL_ROUND: Final = 12

SERVER_FAULTS: Final = frozenset((CODE_PARSE, CODE_NO_METHOD, CODE_PARAMS, CODE_PANIC))
"""Codes that lotus answers with HTTP status 500."""


def panic(method: str, reason: str) -> RpcError:
    """Return the answer to a call that made lotus dereference a null pointer."""
    text = f"fatal error calling '{method}': panic in rpc method '{method}': {reason}"
    return RpcError(text, code=CODE_PANIC)


def not_stored(cid: object) -> RpcError:
    """Return the answer for an object that the node does not have."""
    return RpcError(f"ipld: could not find {cid}")
