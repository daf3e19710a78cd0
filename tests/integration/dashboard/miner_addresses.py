"""A miner whose addresses the chain tells, and the ways to change them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.messages.models import Message
from tests import factories, people
from tests.factories import MinerNode
from tests.fake_node import Refusal

OWNER, WORKER, NEW, SECP = factories.bls(1), factories.bls(2), factories.bls(3), factories.secp(4)
IDS = {OWNER: "f0101", WORKER: "f0102", NEW: "f0103", SECP: "f0104"}
NOTHING_PENDING = {
    "Owner": "f0101",
    "Worker": "f0102",
    "NewWorker": "<empty>",
    "ControlAddresses": None,
    "WorkerChangeEpoch": -1,
    "PendingOwnerAddress": None,
    "Beneficiary": "f0101",
    "BeneficiaryTerm": {"Quota": "0", "UsedQuota": "0", "Expiration": 0},
    "PendingBeneficiaryTerm": None,
}


@pytest.fixture
def info(node: MinerNode, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the chain says; a test changes it.  The node writes addresses with t, as on a test network."""
    head_at(node, 1000)
    said = dict(NOTHING_PENDING)
    keys = {number: key for key, number in IDS.items()}

    def lookup(address: str, _key: Any) -> Any:
        if address not in keys and address not in IDS:
            raise Refusal(f"actor not found: {address}")
        return with_t(IDS.get(address, address))

    monkeypatch.setattr(node, "do_StateMinerInfo", lambda _miner, _key: with_t(said), raising=False)
    monkeypatch.setattr(node, "do_StateLookupID", lookup, raising=False)
    monkeypatch.setattr(
        node, "do_StateAccountKey", lambda address, _key: with_t(keys[address]), raising=False
    )
    for key in IDS:
        factories.wallet(key)
        node.balances[key] = node.balances[IDS[key]] = 5 * factories.FIL
    node.kinds["f02001"] = "storageminer"
    factories.miner(2001, owner=OWNER, worker=WORKER)
    return said


def with_t(value: Any) -> Any:
    """Return JSON with its addresses as nodes of test networks write them."""
    match value:
        case dict():
            return {name: with_t(one) for name, one in value.items()}
        case list():
            return [with_t(one) for one in value]
        case str() if value[:1] == "f" and value[1:2].isdigit():
            return f"t{value[1:]}"
    return value


def head_at(node: MinerNode, height: int) -> None:
    """The newest head, one that the node knows, at this height."""
    factories.head(height, key=node.head.cid, cids=[node.head.cid])


def rest(body: Any, *, token: str = "", key: str = "", query: str = "") -> Any:
    return Client().post(
        f"/api/v1/miners/f02001/addresses{query}",
        json.dumps(body),
        content_type="application/json",
        headers=people.bearer(token or people.token("sign")) | ({"Idempotency-Key": key} if key else {}),
    )


def pushed() -> Message:
    return Message.objects.get()


def rpc(method: str, *params: Any, perm: str = "sign", of: str = "alice") -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": list(params)}
    token = people.bearer(people.token(perm, of=of))
    answer = Client().post("/rpc/v1", json.dumps(body), content_type="application/json", headers=token)
    return answer.json()
