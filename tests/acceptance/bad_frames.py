"""Frames that no honest program sends over a WebSocket, and the answer that each must get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from poolsite.wire.jsonrpc.messages import (
    CODE_APPLICATION,
    CODE_INVALID,
    CODE_NO_METHOD,
    CODE_PARAMS,
    CODE_PARSE,
)
from tests.acceptance.bad_requests import TEN_MB, push

PUSH: Final = "Message.PushMessage"
LISTEN: Final = "Gateway.ListenWalletEvent"


@dataclass(frozen=True, slots=True)
class Frame:
    """One bad frame and the error that answers it."""

    what: str
    data: Any
    """Text or bytes as they are; anything else is written as JSON with our names filled in."""
    code: int
    words: str = ""
    """Part of the message."""
    request_id: Any = 1
    """The id that the answer carries."""
    who: str = "alice"


def call(method: Any, *params: Any, **change: Any) -> dict[str, Any]:
    """Write a call."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params), **change}


FRAMES: Final = [
    Frame("malformed JSON", '{"jsonrpc": "2.0", "id": 1', CODE_PARSE, "Parse error", None),
    Frame("an empty frame", "", CODE_PARSE, "Parse error", None),
    Frame("bytes that are no text", b"\xff\xfe\x00", CODE_PARSE, "Parse error", None),
    Frame("malformed JSON as bytes", b'{"id":', CODE_PARSE, "Parse error", None),
    Frame("deep JSON", "[" * 100_000, CODE_PARSE, "Parse error", None),
    Frame("a number that is none", '{"id": NaN}', CODE_PARSE, "Parse error", None),
    Frame("10 MB of nothing", '"' + "9" * TEN_MB, CODE_PARSE, "Parse error", None),
    Frame("a list", [call("Message.Version")], CODE_INVALID, "Invalid Request", None),
    Frame("a text", '"Message.Version"', CODE_INVALID, "Invalid Request", None),
    Frame("a method that is a number", call(7), CODE_INVALID, "Invalid Request"),
    Frame("an unknown method", call("Message.Cook"), CODE_NO_METHOD, "'Message.Cook' not found"),
    Frame("an unknown service", call("Kitchen.Cook"), CODE_NO_METHOD, "not found"),
    Frame("a method of 1 MB", call("Message." + "x" * 1_000_000), CODE_NO_METHOD, "not found"),
    Frame("parameters by name", {**call(PUSH), "params": {"msg": push()}}, CODE_PARSE, "must be an array"),
    Frame("too few parameters", call(PUSH), CODE_PARAMS, "wrong param count"),
    Frame("too many parameters", call(PUSH, push(), None, None), CODE_PARAMS, "wrong param count"),
    Frame("a parameter of another type", call(PUSH, 7, None), CODE_PARSE, "unmarshaling params"),
    Frame("an unknown address", call(PUSH, push(to="x01"), None), CODE_PARSE, "address"),
    Frame("a value that is no number", call(PUSH, push(Value="much"), None), CODE_PARSE),
    Frame(
        "params of 10 MB", call(PUSH, push(Params="A" * TEN_MB), None), CODE_APPLICATION, "message too big"
    ),
    Frame(
        "a foreign sender",
        call(PUSH, push(sender="{foreign_wallet}"), None),
        CODE_APPLICATION,
        "not a wallet of this account",
    ),
    Frame(
        "a foreign tenant's token",
        call(PUSH, push(), None),
        CODE_APPLICATION,
        "not a wallet of this account",
        who="bob",
    ),
    Frame("no id", call("Message.PushMessageWithId", "", push(), None), CODE_APPLICATION, "empty uid"),
    Frame("a reader", call(PUSH, push(), None), CODE_APPLICATION, "need 'write'", who="alice-reads"),
    Frame("a sealer", call(PUSH, push(), None), CODE_APPLICATION, "scope", who="alice-sealer"),
    Frame("a channel of another scope", call(LISTEN, {}), CODE_APPLICATION, "scope", who="alice-sealer"),
    Frame("a channel without its nonce", call(LISTEN, {}), CODE_APPLICATION, "SignBytes"),
    Frame("a channel without policy", call(LISTEN), CODE_PARAMS, "wrong param count"),
    Frame("a policy that is a word", call(LISTEN, "x"), CODE_PARSE, "unmarshaling params"),
]

SILENT: Final = [
    {"jsonrpc": "2.0", "method": "xrpc.cancel", "params": [99]},
    {"jsonrpc": "2.0", "method": "xrpc.cancel", "params": {"id": 1}},
    {"jsonrpc": "2.0", "method": "xrpc.cancel", "params": [[1]]},
    {"jsonrpc": "2.0", "method": "xrpc.cancel"},
    {"jsonrpc": "2.0", "method": "xrpc.ch.val", "params": [7, "x"]},
    {"jsonrpc": "2.0", "method": "xrpc.ch.close", "params": [7]},
    {"jsonrpc": "2.0", "id": 5, "result": "of a call that nobody made"},
    {"jsonrpc": "2.0", "method": "Message.Cook", "params": []},
]
"""Cancellations and values of channels that are not there, and a notification: no answer, no harm."""
