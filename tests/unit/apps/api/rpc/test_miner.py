"""sophon-miner's methods: addresses, states, start and stop, blocks and records, for own miners only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.core.clock import now
from apps.users.models import AuditEntry
from apps.users.services.grants import miner_grant
from tests import factories, people

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def miners():
    for number, of in ((2001, "alice"), (2002, "bob")):
        row = factories.miner(number, of=of, qa_power=2048)
        miner_grant(tenant=people.tenant(of), actor_id=number)
        common = {"miner": row, "base_height": 9, "at": now(), "expected": 0.25}
        Round.objects.create(epoch=10, state=RoundState.NO_WIN, **common)
        Round.objects.create(
            epoch=11,
            state=RoundState.PROOF_TIMEOUT,
            win_count=1,
            reason="no answer in time",
            steps=[["base_info", 800, 12], ["proof", 812, 1800]],
            **common,
        )


@pytest.fixture
def call(client: Any) -> Any:
    def ask(method: str, *params: Any, perm: str = "admin", of: str = "alice") -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": params}
        headers = {**people.bearer(people.token(perm, of=of)), "X-VENUS-API-NAMESPACE": "miner.MinerAPI"}
        answer = client.post(
            "/rpc/v0", json.dumps(body), content_type="application/json", headers=headers
        ).json()
        return answer.get("error", {}).get("message") or answer.get("result")

    return ask


def test_addresses_and_states_are_of_own_miners(call):
    info = {"Addr": "f02001", "Id": "alice", "Name": "alice", "OpenMining": True}
    assert call("ListAddress") == [info]
    assert call("UpdateAddress", 0, 0) == [info]
    [state] = call("StatesForMining", [])
    assert (state["Addr"], state["IsMining"]) == ("f02001", True)
    assert state["Err"] == ["epoch 11: No proof in time: no answer in time"]


def test_a_list_of_foreign_miners_alone_gives_nothing(call):
    assert call("StatesForMining", ["f02002"]) == []
    assert call("ListBlocks", {"Miners": ["f02002"]}) == []
    assert call("Start", ["f02002"]) == "f02002 not exist"
    assert call("QueryRecord", {"Miner": "f02002", "Epoch": 10, "Limit": 1}) == "f02002 not exist"
    assert call("WarmupForMiner", "f02002") == "f02002 not exist"


def test_stop_and_start_change_who_mines_and_leave_a_line(call):
    assert "missing permission" in call("Stop", ["f02001"], perm="write")
    assert call("Stop", ["f02001"]) is None
    assert call("UpdateAddress", 0, 0) == []
    assert call("StatesForMining", ["f02001"])[0]["IsMining"] is False
    assert call("Start", ["f02001"]) is None
    assert call("StatesForMining", ["f02001"])[0]["IsMining"] is True
    actions = AuditEntry.objects.filter(action__startswith="mining.").values_list("action", flat=True)
    assert sorted(actions) == ["mining.start", "mining.stop"]


def test_blocks_are_listed_with_their_state(call):
    [block] = call("ListBlocks", {"Miners": [], "Limit": 10, "Offset": 0})

    assert (block["Miner"], block["Epoch"], block["ParentEpoch"]) == ("f02001", 11, 9)
    assert (block["MineState"], block["Consuming"], block["Cid"]) == (2, 1812, "")


def test_records_are_told_by_the_peers_names(call):
    rows = call("QueryRecord", {"Miner": "f02001", "Epoch": 10, "Limit": 5})

    assert [row["epoch"] for row in rows] == ["10", "11"]
    assert rows[1]["getBaseInfo"] == "12ms"
    assert rows[1]["computePostProof"] == "1800ms"
    assert (rows[1]["winCount"], rows[1]["error"]) == ("1", "no answer in time")
    assert "exceed" in call("QueryRecord", {"Miner": "f02001", "Epoch": 10, "Limit": 289})


def test_warm_up_without_a_sector_says_so(call):
    assert "no active sector" in call("WarmupForMiner", "f02001", perm="write")
