"""A message from another program: the recorded requests of a messager's client, sent to the running pool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.fingerprint import fingerprint
from tests.acceptance.messager import token_for, worker_of
from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until

pytestmark = pytest.mark.xdist_group("pool")

RECORDED: Final = json.loads(
    (Path(__file__).parent.parent / "golden" / "messager" / "messager_rpc.json").read_text()
)
"""Requests as the Go client of sophon-messager wrote them."""

LANDED_STATE: Final = 3
"""OnChainMsg.  Source: venus venus-shared/types/messager/message.go."""


def recorded(method: str) -> list[dict[str, Any]]:
    """The recorded requests of a method that succeeded."""
    return [entry for entry in RECORDED if entry["method"] == method and "result" in entry["response"]]


def test_a_pushed_message_lands_with_its_receipt(shared_pool: RunningPool) -> None:
    pool = shared_pool
    pool.wait_miner()
    token, sender = token_for(pool, "pool"), worker_of(pool)
    [message, spec] = recorded("Message.PushMessage")[0]["params"]
    message = {**message, "From": sender, "To": "f01000", "Method": 0, "Value": "77"}
    before = int(pool.chain.call("StateGetActor", "f01000", None)["Balance"])

    pushed = pool.rpc("Message.PushMessage", message, spec, token=token)
    uid = pushed["result"]
    waited = pool.rpc("Message.WaitMessage", uid, 1, token=token)["result"]

    assert waited["State"] == LANDED_STATE
    assert waited["Receipt"]["ExitCode"] == 0
    assert waited["Receipt"]["GasUsed"] > 0
    shown = pool.read(f"/api/v1/messages/{uid}")
    assert (shown["state"], shown["nonce"]) == ("LANDED", waited["Nonce"])
    assert shown["cid"] == waited["SignedCid"]["/"]
    assert shown["receipt"]["gas_used"] == waited["Receipt"]["GasUsed"]
    on_chain = {row.cid: row for row in pool.chain.executed()}
    assert on_chain[shown["cid"]].exit_code == 0
    assert int(pool.chain.call("StateGetActor", "f01000", None)["Balance"]) >= before + 77


def test_the_same_id_again_is_one_message(shared_pool: RunningPool) -> None:
    pool = shared_pool
    pool.wait_miner()
    token = token_for(pool, "pool")
    name, message, spec = recorded("Message.PushMessageWithId")[0]["params"]
    message = {**message, "From": worker_of(pool), "To": "f01000", "Method": 0, "Value": "5"}

    answers = [pool.rpc("Message.PushMessageWithId", name, message, spec, token=token) for _ in range(3)]

    assert [answer["result"] for answer in answers] == [name] * 3
    wait_until(
        lambda: pool.read(f"/api/v1/messages/{name}")["state"] == "LANDED", within_s=30, what=pool.diagnosis
    )
    cid = pool.read(f"/api/v1/messages/{name}")["cid"]
    assert [row.cid for row in pool.chain.executed()].count(cid) == 1


def test_a_tenant_cannot_use_the_pools_sender_or_miner(shared_pool: RunningPool) -> None:
    pool = shared_pool
    miner = pool.wait_miner()
    if "stranger" not in {row["name"] for row in pool.read("/api/v1/tenants")["results"]}:
        assert pool.ask("POST", "/api/v1/tenants", json={"name": "stranger"}).status_code == 201
    token = token_for(pool, "stranger")
    message = {**recorded("Message.PushMessage")[0]["params"][0], "From": worker_of(pool)}
    before = counted(pool)

    refused = pool.rpc("Message.PushMessage", message, None, token=token)
    pledged = pool.ask("POST", f"/api/v1/miners/{miner}/sectors", token=token, json={"count": 1})
    huge = pool.ask("POST", f"/api/v1/miners/{miner}/sectors", content=b"[" + b"1," * 5_000_000 + b"1]")
    broken = pool.ask("POST", f"/api/v1/miners/{miner}/sectors", content=b'{"count"')

    assert "not a wallet of this account" in refused["error"]["message"]
    assert (pledged.status_code, pledged.json()["code"]) == (404, "miner_unknown")
    assert (huge.status_code, huge.json()["code"]) == (413, "body_too_large")
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed")
    assert counted(pool) == before


def counted(pool: RunningPool) -> dict[str, int]:
    """Rows that only a request can make: the pool's own messages have a kind; the chain moves the rest."""
    tables = ("sectors_sector", "sectors_pledge", "users_tenant", "wallets_wallet")
    whole = fingerprint(pool.rows_of)
    [(pushed,)] = pool.rows_of("select count(*) from messages_message where kind = ''")
    return {"pushed": int(pushed)} | {table: whole[table][0] for table in tables}
