"""Requests that no honest caller sends, and the answer that each must get."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

TEN_MB: Final = 10 * 1000 * 1000
UNKNOWN: Final = "00000000-0000-4000-8000-000000000000"
ADDRESS_WORDS: Final = "an address begins with"
LEASE_WORDS: Final = "lease"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One bad request and the answer that it must get."""

    what: str
    path: str
    """With the names of `Scene.names` in braces."""
    status: int
    code: str
    field: str = ""
    words: str = ""
    """Part of the message."""
    method: str = "POST"
    body: Any = None
    """JSON, or raw text."""
    who: str = "alice"


PLEDGE: Final = "/api/v1/miners/{miner}/sectors"
MESSAGES: Final = "/api/v1/messages"
EVENT: Final = "/api/v1/jobs/{job}/event"
MESSAGE: Final = {"id": "m-1", "from": "{wallet}", "to": "f01000", "method": 0, "value": "1"}
REPORT: Final = {
    "v": 1,
    "token": "{token}",
    "seq": 1,
    "state": "ALLOCATED",
    "event": "ADD_PIECE",
    "outputs": {"pieces": [], "ms": 1},
}
CLAIM: Final = {
    "v": 1,
    "worker_id": "{worker}",
    "boot_id": "boot-2",
    "kinds": ["seal"],
    "stages": {"PC1": 1},
    "max": 1,
}
SEALER: Final = {"who": "alice-sealer"}


def case(what: str, path: str, status: int, code: str, **how: Any) -> Case:
    """Write one row."""
    return Case(what=what, path=path, status=status, code=code, **how)


WHO_CALLS = [
    case("no token", PLEDGE, 401, "token_refused", body={"count": 1}, who="nobody"),
    case("a token that is none", PLEDGE, 401, "token_refused", body={"count": 1}, who="nonsense"),
    case(
        "an expired token",
        PLEDGE,
        401,
        "token_refused",
        words="expired",
        body={"count": 1},
        who="alice-expired",
    ),
    case(
        "a revoked token",
        PLEDGE,
        401,
        "token_refused",
        words="revoked",
        body={"count": 1},
        who="alice-revoked",
    ),
    case("a disabled account", PLEDGE, 401, "token_refused", body={"count": 1}, who="carol-disabled"),
    case("a reader", PLEDGE, 403, "not_allowed", words="write", body={"count": 1}, who="alice-reads"),
    case("a sealer's token", PLEDGE, 403, "not_allowed", body={"count": 1}, who="alice-sealer"),
    case("a foreign miner", PLEDGE, 404, "miner_unknown", field="miner", body={"count": 1}, who="bob"),
    case(
        "a foreign miner read",
        "/api/v1/miners/{foreign_miner}",
        404,
        "miner_unknown",
        field="miner",
        method="GET",
    ),
    case(
        "a foreign sector",
        "/api/v1/sectors/{foreign_sector}",
        404,
        "sector_unknown",
        field="sector",
        method="GET",
    ),
    case(
        "a foreign sector stopped",
        "/api/v1/sectors/{foreign_sector}/pause",
        404,
        "sector_unknown",
        field="sector",
    ),
    case(
        "a foreign sender",
        MESSAGES,
        403,
        "sender_not_granted",
        field="from",
        body={**MESSAGE, "from": "{foreign_wallet}"},
    ),
]

BODIES = [
    case("malformed JSON", PLEDGE, 400, "malformed", words="JSON", body='{"count": 1'),
    case(
        "bytes that are no text",
        PLEDGE,
        400,
        "malformed",
        words="JSON",
        body="\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    ),
    case("deep JSON", PLEDGE, 400, "malformed", words="JSON", body="[" * 100_000),
    case(
        "a body of 10 MB",
        PLEDGE,
        413,
        "body_too_large",
        words="at most",
        body=json.dumps({"count": "9" * TEN_MB}),
    ),
    case("a list for an object", PLEDGE, 400, "bad_value", body=[1]),
    case("no count", PLEDGE, 400, "bad_value", field="count", body={}),
    case(
        "a count that is a word",
        PLEDGE,
        400,
        "bad_value",
        field="count",
        words="integer",
        body={"count": "many"},
    ),
    case("a count that is a list", PLEDGE, 400, "bad_value", field="count", body={"count": [1]}),
    case("no sector at all", PLEDGE, 400, "bad_value", field="count", body={"count": 0}),
    case("sectors without end", PLEDGE, 400, "bad_count", field="count", body={"count": 10**9}),
    case(
        "an unknown field",
        PLEDGE,
        400,
        "bad_value",
        field="cuont",
        words="unknown field",
        body={"count": 1, "cuont": 1},
    ),
    case(
        "an unknown miner",
        "/api/v1/miners/f0999999/sectors",
        404,
        "miner_unknown",
        field="miner",
        body={"count": 1},
    ),
    case(
        "a miner that is no address",
        "/api/v1/miners/x/sectors",
        404,
        "miner_unknown",
        field="miner",
        body={"count": 1},
    ),
    case(
        "an unknown sector", f"/api/v1/sectors/{UNKNOWN}", 404, "sector_unknown", field="sector", method="GET"
    ),
    case(
        "a sector that is no id", "/api/v1/sectors/0'--", 404, "sector_unknown", field="sector", method="GET"
    ),
    case("an unknown filter", "/api/v1/miners?color=red", 400, "bad_value", field="color", method="GET"),
    case("a method that is not there", "/api/v1/miners", 405, "method_not_allowed", method="DELETE"),
]

SENDING = [
    case(
        "an address that is none",
        MESSAGES,
        400,
        "bad_value",
        field="to",
        words=ADDRESS_WORDS,
        body={**MESSAGE, "to": "x01000"},
    ),
    case(
        "an address with a wrong sum",
        MESSAGES,
        400,
        "bad_value",
        field="to",
        words="checksum",
        body={**MESSAGE, "to": "f1pc3clci3rjmxeoywss32qze5vac55sttv2s2bpa"},
    ),
    case(
        "a sender that nobody has",
        MESSAGES,
        400,
        "bad_message",
        field="from",
        body={**MESSAGE, "from": "f01234567"},
    ),
    case("a value below zero", MESSAGES, 400, "bad_value", field="value", body={**MESSAGE, "value": "-1"}),
    case("a value with a point", MESSAGES, 400, "bad_value", field="value", body={**MESSAGE, "value": "1.5"}),
    case(
        "params that are no base64",
        MESSAGES,
        400,
        "bad_value",
        field="params",
        body={**MESSAGE, "params": "?"},
    ),
    case("a method below zero", MESSAGES, 400, "bad_value", field="method", body={**MESSAGE, "method": -1}),
    case(
        "no id",
        MESSAGES,
        400,
        "bad_value",
        field="id",
        body={key: MESSAGE[key] for key in MESSAGE if key != "id"},
    ),
    case("an unknown message", f"{MESSAGES}/{UNKNOWN}", 404, "message_not_found", field="id", method="GET"),
]

REPORTS = [
    case(
        "an old lease token",
        EVENT,
        409,
        "fenced",
        field="token",
        words=LEASE_WORDS,
        body={**REPORT, "token": "{old_token}"},
        **SEALER,
    ),
    case(
        "a lease token from tomorrow",
        EVENT,
        409,
        "fenced",
        field="token",
        body={**REPORT, "token": 9},
        **SEALER,
    ),
    case(
        "progress with an old lease",
        "/api/v1/jobs/{job}/progress",
        409,
        "fenced",
        field="token",
        body={"v": 1, "token": "{old_token}", "stage": "ADD_PIECE", "done": 1, "total": 2},
        **SEALER,
    ),
    case(
        "a failure with an old lease",
        "/api/v1/jobs/{job}/fail",
        409,
        "fenced",
        field="token",
        body={"v": 1, "token": "{old_token}", "stage": "ADD_PIECE", "level": "permanent", "error": "x"},
        **SEALER,
    ),
    case("a job of somebody else", EVENT, 404, "job_unknown", field="job", body=REPORT, who="bob-sealer"),
    case(
        "an unknown job",
        f"/api/v1/jobs/{UNKNOWN}/event",
        404,
        "job_unknown",
        field="job",
        body=REPORT,
        **SEALER,
    ),
    case("a stranger to the part", EVENT, 403, "not_allowed", body=REPORT, who="alice-reads"),
    case(
        "an event out of order", EVENT, 409, "out_of_order", field="seq", body={**REPORT, "seq": 7}, **SEALER
    ),
    case(
        "another state", EVENT, 409, "conflict", field="state", body={**REPORT, "state": "PC1_DONE"}, **SEALER
    ),
    case(
        "an event of another stage",
        EVENT,
        400,
        "bad_report",
        field="event",
        body={**REPORT, "event": "C2"},
        **SEALER,
    ),
    case(
        "a digest of 31 bytes",
        EVENT,
        400,
        "bad_value",
        field="outputs.comm_d",
        body={**REPORT, "outputs": {"comm_d": "AA" * 31}},
        **SEALER,
    ),
    case(
        "an unknown field of a report",
        EVENT,
        400,
        "bad_value",
        field="colour",
        body={**REPORT, "colour": 1},
        **SEALER,
    ),
    case(
        "a token that is a word",
        EVENT,
        400,
        "bad_value",
        field="token",
        body={**REPORT, "token": "two"},
        **SEALER,
    ),
    case(
        "a proof for a sealing job",
        "/api/v1/jobs/{job}/complete",
        400,
        "bad_report",
        field="kind",
        body={"v": 1, "token": "{token}", "proof": "AAAA"},
        **SEALER,
    ),
    case(
        "progress beyond the end",
        "/api/v1/jobs/{job}/progress",
        400,
        "bad_value",
        field="done",
        body={"v": 1, "token": "{token}", "stage": "ADD_PIECE", "done": 3, "total": 2},
        **SEALER,
    ),
    case(
        "a claim of an older start",
        "/api/v1/jobs:claim",
        409,
        "worker_replaced",
        field="boot_id",
        body={**CLAIM, "boot_id": "boot-1"},
        **SEALER,
    ),
    case(
        "a claim for a foreign worker",
        "/api/v1/jobs:claim",
        404,
        "worker_unknown",
        field="worker_id",
        body=CLAIM,
        who="bob-sealer",
    ),
    case(
        "a claim of proofs with a sealer's token",
        "/api/v1/jobs:claim",
        403,
        "not_allowed",
        field="kinds",
        body={**CLAIM, "kinds": ["window_post"]},
        **SEALER,
    ),
    case(
        "a claim of nothing known",
        "/api/v1/jobs:claim",
        400,
        "bad_value",
        field="kinds.0",
        body={**CLAIM, "kinds": ["cook"]},
        **SEALER,
    ),
    case(
        "a heartbeat of an older start",
        "/api/v1/workers/{worker}/heartbeat",
        409,
        "worker_replaced",
        field="boot_id",
        body={"v": 1, "boot_id": "boot-1"},
        **SEALER,
    ),
    case(
        "a body of 10 MB from a worker",
        EVENT,
        413,
        "body_too_large",
        body=json.dumps({**REPORT, "pad": "0" * TEN_MB}),
        **SEALER,
    ),
]


def push(*, to: str = "f01000", sender: str = "{wallet}", **change: Any) -> dict[str, Any]:
    """A messager's message as Go writes it."""
    message = {"Version": 0, "To": to, "From": sender, "Nonce": 0, "Value": "1", "GasLimit": 0}
    return {**message, "GasFeeCap": "0", "GasPremium": "0", "Method": 0, "Params": None, **change}


RPC_CASES: list[tuple[str, str, Any, int, int, str]] = [
    ("malformed JSON", "alice", '{"jsonrpc": "2.0"', 500, -32700, ""),
    ("no token", "nobody", ("Message.PushMessage", [push(), None]), 401, 401, "token"),
    ("an expired token", "alice-expired", ("Message.PushMessage", [push(), None]), 401, 401, "expired"),
    ("a revoked token", "alice-revoked", ("Message.PushMessage", [push(), None]), 401, 401, "revoked"),
    ("a reader", "alice-reads", ("Message.PushMessage", [push(), None]), 200, 1, "need 'write'"),
    ("a sealer", "alice-sealer", ("Message.PushMessage", [push(), None]), 200, 1, "scope"),
    ("an unknown method", "alice", ("Message.Cook", []), 500, -32601, "not found"),
    ("too few parameters", "alice", ("Message.PushMessage", []), 500, -32602, "wrong param count"),
    ("a parameter of another type", "alice", ("Message.PushMessage", [7, None]), 500, -32700, ""),
    (
        "an address that is none",
        "alice",
        ("Message.PushMessage", [push(to="x01"), None]),
        500,
        -32700,
        "address",
    ),
    (
        "a foreign sender",
        "alice",
        ("Message.PushMessage", [push(sender="{foreign_wallet}"), None]),
        200,
        1,
        "not a wallet of this account",
    ),
    ("no id", "alice", ("Message.PushMessageWithId", ["", push(), None]), 200, 1, "empty uid"),
    (
        "a value that is no number",
        "alice",
        ("Message.PushMessage", [push(Value="much"), None]),
        500,
        -32700,
        "",
    ),
]
