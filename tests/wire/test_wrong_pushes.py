"""Wrong pushes by the messager's clients: each is refused with the field's words and leaves no row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.messages.models import Message, Sender
from poolsite.filecoin.address import actor_address
from tests.messaging import Pool, pool_world
from tests.people import bearer, token
from tests.unit.apps.api.v1.messages import WRONG as WRONG_OVER_REST
from tests.unit.apps.messages.push import WRONG as WRONG_INSIDE

ALL_FIL = str(2 * 10**27 + 1)
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("version", {"Version": 1}, "'Version' unsupported"),
    ("version text", {"Version": "0"}, "Version: must be a whole number"),
    ("to null", {"To": None}, "address is empty"),
    ("to number", {"To": 5}, "To: must be a string"),
    ("to empty", {"To": ""}, "address is empty"),
    ("to word", {"To": "nobody"}, "unknown"),
    ("to bad checksum", {"To": "f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3zb"}, "To: invalid encoding"),
    ("to object", {"To": {"/": "f01000"}}, "To: must be a string"),
    ("from null", {"From": None}, "address is empty"),
    ("from number", {"From": 5}, "From: must be a string"),
    ("from word", {"From": "me"}, "From: invalid"),
    ("from list", {"From": ["f01000"]}, "From: must be a string"),
    ("from an actor", {"From": str(actor_address(b"an actor"))}, "has no key"),
    ("from an unknown id", {"From": "f01234"}, "getting key address f01234 failed"),
    ("from a stranger", {"From": "f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za"}, "not a wallet"),
    ("value negative", {"Value": "-1"}, "cannot be negative"),
    ("value above all FIL", {"Value": ALL_FIL}, "total filecoin supply"),
    ("value word", {"Value": "much"}, "Value: not a decimal"),
    ("value float", {"Value": 1.5}, "Value: must be"),
    ("method negative", {"Method": -1}, "uint64"),
    ("method text", {"Method": "0"}, "Method: must be"),
    ("method above 63 bits", {"Method": 1 << 63}, "method number"),
    ("method above 64 bits", {"Method": 1 << 64}, "uint64"),
    ("params no base64", {"Params": "%%%"}, "base64"),
    ("params number", {"Params": 5}, "Params: must be"),
    ("params too large", {"Params": "A" * 100_000}, "too large"),
    ("params undecodable", {"To": "f04", "Method": 2, "Params": "gQE="}, "not the parameters of CreateMiner"),
    ("gas limit negative", {"GasLimit": -1}, "gas limit"),
    ("gas limit above a block", {"GasLimit": 10**10 + 1}, "gas limit"),
    ("gas limit text", {"GasLimit": "1"}, "GasLimit: must be"),
    ("fee cap negative", {"GasFeeCap": "-1"}, "amount"),
    ("fee cap above all FIL", {"GasFeeCap": ALL_FIL}, "amount"),
    ("fee cap object", {"GasFeeCap": {}}, "GasFeeCap: must be"),
    ("premium negative", {"GasPremium": "-1"}, "amount"),
    ("premium above the cap", {"GasPremium": "6", "GasFeeCap": "5"}, "'GasFeeCap' less than 'GasPremium'"),
]
"""Members of the message, and words of the refusal."""

WRONG_SPECS: list[tuple[str, Any, str]] = [
    ("expiry negative", {"expireEpoch": -1}, "epoch"),
    ("expiry text", {"expireEpoch": "1"}, "int64"),
    ("over-estimation negative", {"gasOverEstimation": -1}, "factor"),
    ("over-estimation text", {"gasOverEstimation": "1"}, "float64"),
    ("max fee negative", {"maxFee": "-1"}, "amount"),
    ("max fee above all FIL", {"maxFee": ALL_FIL}, "amount"),
    ("over-premium huge", {"gasOverPremium": 1e9}, "factor"),
    ("a word", "spec", "SendSpec"),
    ("a list", [], "SendSpec"),
]
WRONG_IDS: list[tuple[str, Any, str]] = [
    ("empty", "", "empty uid"),
    ("number", 5, "string"),
    ("too long", "x" * 257, "at most 256"),
    ("line feed", "a\nb", "control"),
]


@pytest.fixture
def pool(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with pool_world(monkeypatch) as pool:
        yield pool


def push(client: Client, params: list[Any]) -> dict[str, Any]:
    body = {"jsonrpc": "2.0", "id": 1, "method": "Message.PushMessageWithId", "params": params}
    answer = client.post(
        "/rpc/v0", json.dumps(body), content_type="application/json", headers=bearer(token("write"))
    )
    found: dict[str, Any] = answer.json()
    return found


def good(pool: Pool) -> dict[str, Any]:
    return {
        "Version": 0,
        "To": "f01000",
        "From": pool.address(),
        "Nonce": 0,
        "Value": "5",
        "GasLimit": 0,
        "GasFeeCap": "0",
        "GasPremium": "0",
        "Method": 0,
        "Params": None,
    }


def test_every_wrong_push_is_refused_in_words_and_leaves_no_row(pool: Pool, client: Client) -> None:
    message = good(pool)
    cases = [
        *((name, ["one", {**message, **wrong}, None], words) for name, wrong, words in WRONG),
        *((f"spec {name}", ["one", message, spec], words) for name, spec, words in WRONG_SPECS),
        *((f"id {name}", [id_, message, None], words) for name, id_, words in WRONG_IDS),
        ("no message", ["one", None, None], ""),
        ("a parameter missing", ["one", message], "wrong param count"),
        ("a parameter too many", ["one", message, None, None], "wrong param count"),
    ]
    unsaid = []
    for name, params, words in cases:
        error = push(client, params).get("error", {})
        if not error.get("message") or words.lower() not in error["message"].lower():
            unsaid.append(f"{name}: {words!r} is not in {error}")
        if Message.objects.exists() or Sender.objects.exists():
            unsaid.append(f"{name}: left a row")
            Message.objects.all().delete()
            Sender.objects.all().delete()

    assert not unsaid, "\n".join(unsaid)
    assert len(cases) + len(WRONG_INSIDE) + len(WRONG_OVER_REST) >= 100
    assert push(client, ["one", message, None])["result"] == "one"
