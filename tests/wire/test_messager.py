"""The messager's recorded exchanges, replayed in their order against our own answers."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from django.db.models import F
from django.test import Client

from apps.api.access_table import endpoints
from apps.api.rpc.services.messager.table import METHODS
from apps.messages.models import Message
from apps.messages.states import WIRE_CODES
from poolsite.filecoin.actors.decode import params_encode
from poolsite.filecoin.kinds import BadField
from tests.fake_node import Refusal
from tests.messaging import Pool, pool_world
from tests.people import bearer, operator_token, tenant, token

GOLDEN = Path(__file__).parent.parent / "golden" / "messager"
RECORDED: list[dict[str, Any]] = json.loads((GOLDEN / "messager_rpc.json").read_text())
BLS = "f3ueaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeol3qqa"
SECP = "f15ivwjabdvjqe3b6usxpzam3ofnd4iwnk6awtona"
LANDED_FROM = next(at for at, row in enumerate(RECORDED) if row["method"] == "Message.WaitMessage")

DIFFERENT = {
    6: "the same message under the same id again is no error here",
    2: "the recorder's auth took every token",
    3: "the recorder's auth took every token",
    21: "the recorder's caller had another account name than its signer",
    33: "the reason is one line without the VM's own words",
    35: "as 33",
    36: "as 33",
    38: "upstream gives a waiting message for nonce 0; we give the one that holds the nonce",
    42: "a fee cap under the chain's minimum is refused where it is set",
    43: "as 42",
    44: "zero means unchanged: Go clients send it for what they leave unset",
    46: "as 44",
    48: "there is no libp2p host here: messages are published by RPC",
}
"""Entries that we answer differently on purpose."""

VARYING: dict[str, type | tuple[type, ...]] = {
    "ID": str,
    "id": (str, int),
    "CreatedAt": str,
    "UpdatedAt": str,
    "createAt": str,
    "updateAt": str,
    "UnsignedCid": dict,
    "SignedCid": dict,
    "Data": str,
    "Height": int,
    "Confidence": int,
    "TipSetKey": list,
    "Nonce": int,
    "WalletName": str,
    "nonce": int,
}
"""Members whose value belongs to the run; only their JSON type is compared."""


@dataclass
class Replay:
    """Sends recorded requests with our addresses in the place of the recorder's."""

    client: Client
    pool: Pool
    token: str
    ours: dict[str, str]

    def swap(self, value: Any) -> Any:
        text = json.dumps(value)
        for theirs, own in self.ours.items():
            text = text.replace(theirs, own).replace("t" + theirs[1:], "t" + own[1:])
        return json.loads(text)

    def send(self, entry: dict[str, Any]) -> tuple[int, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": entry["method"], "params": self.swap(entry["params"])}
        given = entry["note"].get("tok", self.token)
        answer = self.client.post(
            "/rpc/v0",
            json.dumps({**body, "meta": {"SpanContext": "AAAA"}}),
            content_type="application/json",
            headers=bearer(given) if given else {},
        )
        return answer.status_code, answer.content.decode()


@pytest.fixture
def replay(transactional_db: None, monkeypatch: pytest.MonkeyPatch, client: Client) -> Iterator[Replay]:
    with pool_world(monkeypatch) as pool:
        pool.node.gas_used, pool.node.return_ = 625_000, None
        pool.node.fails["999"] = "message execution failed: exit SysErrInvalidMethod(22), reason: mock"
        pool.node.balances["f01000"] = 0
        tenant("pool")
        ours = {BLS: pool.address(of="pool", kind="bls"), SECP: pool.address(of="pool")}
        yield Replay(client, pool, operator_token(), ours)


def compare(path: str, ours: Any, theirs: Any) -> list[str]:
    """Return the differences that are not the run's."""
    name = path.rsplit(".", 1)[-1]
    if name in VARYING and theirs is not None:
        return [] if isinstance(ours, VARYING[name]) else [f"{path}: {ours!r} is of another type"]
    if isinstance(theirs, dict) and isinstance(ours, dict):
        missing = [f"{path}.{key}: missing" for key in theirs.keys() - ours.keys()]
        extra = [f"{path}.{key}: not theirs" for key in ours.keys() - theirs.keys()]
        inner = [compare(f"{path}.{key}", ours[key], theirs[key]) for key in theirs.keys() & ours.keys()]
        return [*missing, *extra, *(line for lines in inner for line in lines)]
    if isinstance(theirs, list) and isinstance(ours, list):
        if len(ours) != len(theirs):
            return [f"{path}: {len(ours)} rows, theirs {len(theirs)}"]
        pairs = zip(by_id(ours), by_id(theirs), strict=True)
        return [line for at, (a, b) in enumerate(pairs) for line in compare(f"{path}[{at}]", a, b)]
    if isinstance(theirs, str) and re.fullmatch(r"[0-9a-f-]{36}", theirs):
        return [] if re.fullmatch(r"[0-9a-f-]{36}", str(ours)) else [f"{path}: {ours!r} is no UUID"]
    return [] if ours == theirs else [f"{path}: {ours!r}, theirs {theirs!r}"]


def by_id(rows: list[Any]) -> list[Any]:
    """Order rows by what they are: times of one run do not order another's."""
    return sorted(rows, key=lambda row: str([row.get(name) for name in ("addr", "Method", "Value")]))


def test_the_recorded_exchanges_replay(replay: Replay) -> None:
    failures = []
    for at, entry in enumerate(RECORDED):
        if at == LANDED_FROM:
            Message.objects.update(created_at=F("created_at") - timedelta(seconds=10))
            replay.pool.choose()
            for _ in range(6):
                replay.pool.step()
        status, body = replay.send(entry)
        if at in DIFFERENT:
            continue
        theirs = replay.swap(entry["response"])
        if "http" in theirs:
            same = status == theirs["http"] and (status == 401 or body == theirs["body"])
            failures += [] if same else [f"{at} {entry['method']}: {status} {body} != {theirs}"]
            continue
        differences = compare("", json.loads(body), theirs)
        failures += [f"{at} {entry['method']}{line}" for line in differences]

    assert not failures, "\n".join(failures)


def test_a_duplicate_push_is_success_and_one_row(replay: Replay) -> None:
    first, again = RECORDED[5], RECORDED[6]

    replay.send(first)
    status, body = replay.send(again)

    assert (status, json.loads(body)["result"]) == (200, "my-id-1")
    assert Message.objects.count() == 1


def test_the_command_line_takes_back_what_it_gave_up(replay: Replay) -> None:
    """`msg recover-failed-msg ID` asks for UnFillMsg where the nonce is 0, signed or not."""

    def ask(method: str, *params: Any) -> Any:
        _, body = replay.send({"method": f"Message.{method}", "params": list(params), "note": {}})
        answer = json.loads(body)
        assert "error" not in answer, answer
        return answer.get("result")

    replay.send(RECORDED[5])
    ask("MarkBadMessage", "my-id-1")
    ask("UpdateMessageStateByID", "my-id-1", WIRE_CODES["UNFILLED"])
    unsigned = ask("GetMessageByUid", "my-id-1")
    replay.pool.choose()
    ask("MarkBadMessage", "my-id-1")
    ask("UpdateMessageStateByID", "my-id-1", WIRE_CODES["UNFILLED"])
    signed = ask("GetMessageByUid", "my-id-1")

    assert (unsigned["State"], unsigned["Signature"]) == (WIRE_CODES["UNFILLED"], None)
    assert (signed["State"], signed["Nonce"]) == (WIRE_CODES["FILLED"], 0)


def test_a_stranger_sees_nothing_of_it(replay: Replay) -> None:
    replay.send(RECORDED[5])
    replay.token = token("write", of="mallory")

    for method, params in (("GetMessageByUid", ["my-id-1"]), ("WaitMessage", ["my-id-1", 0])):
        _, body = replay.send({"method": f"Message.{method}", "params": params, "note": {}})

        assert json.loads(body)["error"] == {
            "code": 1,
            "message": "get message by id error: record not found",
        }
    _, body = replay.send({"method": "Message.ListBlockedMessage", "params": ["<empty>", 0], "note": {}})
    assert json.loads(body)["result"] == []
    _, body = replay.send({"method": "Message.PushMessage", "params": RECORDED[4]["params"], "note": {}})
    assert "not a wallet of this account" in json.loads(body)["error"]["message"]


def test_a_reader_cannot_push(replay: Replay) -> None:
    replay.token = token("read", of="pool")

    _, body = replay.send(RECORDED[4])

    words = "missing permission to invoke 'PushMessage'  (need 'write')"
    assert json.loads(body)["error"] == {"code": 1, "message": words}


def test_a_tenants_admin_cannot_change_the_pools_rules(replay: Replay) -> None:
    replay.token = token("admin", of="alice")
    spec = {"selMsgNum": 1, "maxFee": "1"}

    _, body = replay.send({"method": "Message.SetSharedParams", "params": [spec], "note": {}})

    assert "only the pool's operator may" in json.loads(body)["error"]["message"]


def test_rules_nodes_and_log_of_the_pool_are_listed_as_the_operators() -> None:
    rules = {"SetSharedParams", "SaveActorCfg", "UpdateActorCfg", "UpdateAllFilledMessage"}
    nodes = {"SaveNode", "GetNode", "HasNode", "ListNode", "DeleteNode"}
    host = {"NetPeers", "NetAddrsListen", "NetFindPeer", "NetConnect", "SetLogLevel", "LogList"}

    listed = {row.path for row in endpoints() if row.operator_only and row.path.startswith("Message.")}

    assert listed == {f"Message.{name}" for name in rules | nodes | host}


OF_WALLETS: Final = {
    **dict.fromkeys(("SaveWallet", "GetWalletByName", "GetWalletByID", "HasWallet", "ListWallet"), "admin"),
    **dict.fromkeys(("ListRemoteWalletAddress", "DeleteWallet", "GetWalletAddress"), "admin"),
    "HasWalletAddress": "read",
    "ListWalletAddress": "admin",
}
"""Methods of v1.0.5 that later ones lack.  Source: venus-messager v1.0.5 api/client/api.go, `//perm:`."""


def test_every_method_is_there_with_its_permission() -> None:
    table = json.loads((GOLDEN / "methods.json").read_text())

    found = {name.removeprefix("Message."): method.perm for name, method in METHODS.items()}
    assert found == table | OF_WALLETS


def sent(replay: Replay, method: str, *params: Any) -> Any:
    _, body = replay.send({"method": f"Message.{method}", "params": list(params), "note": {}})
    return json.loads(body)


def test_what_needs_a_libp2p_host_says_that_there_is_none(replay: Replay) -> None:
    for method, params in (("NetAddrsListen", []), ("NetFindPeer", ["12D3"]), ("NetConnect", [{}])):
        assert "there is no libp2p host" in sent(replay, method, *params)["error"]["message"]
    replay.token = token("admin", of="alice")
    assert "missing permission" in sent(replay, "NetAddrsListen")["error"]["message"]


def test_the_level_of_a_part_of_the_log_is_set(replay: Replay) -> None:
    logger = logging.getLogger("apps.wallets")
    before = logger.level
    try:
        assert "error" not in sent(replay, "SetLogLevel", "apps.wallets", "error")
        assert logger.level == logging.ERROR
        for part, level, words in (
            ("moon", "info", "No such logger"),
            ("apps.wallets", "loud", "unrecognized level"),
        ):
            assert words in sent(replay, "SetLogLevel", part, level)["error"]["message"]
    finally:
        logger.setLevel(before)


def test_json_parameters_are_encoded_for_the_receivers_method(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(code: Any, method: int, value: Any) -> str:
        try:
            return base64.b64encode(params_encode("miner", method, value)).decode()
        except (BadField, KeyError) as error:
            raise Refusal(str(error)) from None

    monkeypatch.setattr(replay.pool.node, "do_StateEncodeParams", encode, raising=False)
    sender = replay.ours[SECP]
    replay.pool.node.balances["f01000"] = 0
    quick = {"To": "f01000", "From": sender, "Method": 16, "ParamsType": "json"}

    found = sent(replay, "Send", {**quick, "Params": '{"AmountRequested": "12"}'})
    row = Message.objects.get(push_id=found["result"])
    assert bytes(row.params) == params_encode("miner", 16, {"AmountRequested": "12"})

    count = Message.objects.count()
    for params in ("{", '{"AmountRequested": []}', "[" * 100_000):
        error = sent(replay, "Send", {**quick, "Params": params})["error"]["message"]
        assert "failed to decode json params" in error
    assert Message.objects.count() == count
