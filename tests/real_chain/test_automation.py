"""Automatic rules on a chain with real actors: a miner's market escrow topped up, its balance swept."""

from __future__ import annotations

from typing import Any, Final

import pytest

from poolsite.filecoin.actors.market import Method as MarketMethod
from poolsite.filecoin.actors.miner import Method as MinerMethod
from poolsite.filecoin.amounts import FIL
from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.farm import WITHDRAWALS
from tests.real_chain.node import STEP_S, RealNode
from tests.real_chain.steps import landed, messages, miner_make, rule_allow, sent

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("real_chain")]

MARKET: Final = "f05"
LOW: Final = FIL // 2
HIGH: Final = 2 * FIL
DAY_MAX: Final = 10 * FIL
GIVEN_FIL: Final = 3
SETTLED_EPOCHS: Final = 25
"""Long enough for a rule that acted to act again, if it still found something due."""
ESCROWS: Final = """
[[rule]]
name = "escrow of {miner}"
methods = ["market.AddBalance"]
to = ["f05", "{miner}"]
value_max = "3 FIL"
fee_max = "1 FIL"
premium_max = "0.1 FIL"
"""


@pytest.fixture(scope="module")
def miner(pool: RunningPool, keys: dict[str, str]) -> str:
    """A miner of this file alone."""
    return miner_make(pool, keys, "automation")


def rule_add(pool: RunningPool, **settings: Any) -> str:
    """Add an automatic rule, which is off; return its path."""
    marks = {"low": str(LOW), "high": str(HIGH), "day_max": str(DAY_MAX)}
    answer = pool.ask("POST", "/api/v1/auto-rules", json=marks | settings)
    assert answer.status_code == 201, answer.text
    return f"/api/v1/auto-rules/{answer.json()['uuid']}"


def switched_on(pool: RunningPool, path: str) -> None:
    """Switch it on."""
    answer = pool.ask("PATCH", path, json={"is_on": True})
    assert answer.status_code == 200, answer.text


def escrow(node: RealNode, miner: str) -> int:
    """Return attoFIL in the miner's market balance that no deal locks."""
    found = node.call("StateMarketBalance", miner, None)
    return int(found["Escrow"]) - int(found["Locked"])


def settled(pool: RunningPool, node: RealNode, path: str, *, acts: int) -> None:
    """Wait until a rule has had time to act again, and require that it did not."""
    end = node.height() + SETTLED_EPOCHS
    wait_until(lambda: node.height() >= end, within_s=STEP_S, what="some epochs")
    assert pool.read(path)["acts_begun"] == acts
    assert pool.read(f"{path}/dry-run")["why"] == "nothing is due"


def test_a_miners_escrow_is_filled_to_the_high_mark(
    pool: RunningPool, node: RealNode, miner: str, keys: dict[str, str]
) -> None:
    path = rule_add(pool, kind="top_up", source=keys["owner"], target=miner, is_escrow=True)
    plan = pool.read(f"{path}/dry-run")
    assert (plan["balance"], plan["amount"], plan["push_id"]) == ("0", str(HIGH), "")
    assert "f05" in plan["why"], "the default policy fills the escrow of the sender alone"
    switched_on(pool, path)
    wait_until(lambda: pool.read(path)["note"], within_s=STEP_S, what=pool.diagnosis)
    assert not messages(pool, MarketMethod.ADD_BALANCE, MARKET)

    rule_allow(pool, ESCROWS.format(miner=miner))

    message = landed(pool, MarketMethod.ADD_BALANCE, MARKET)
    assert (message["value"], message["from"]) == (str(HIGH), keys["owner"])
    assert escrow(node, miner) == HIGH
    print(f"top-up: {HIGH} attoFIL, {message['receipt']['gas_used']:,} gas")
    settled(pool, node, path, acts=1)
    assert len(messages(pool, MarketMethod.ADD_BALANCE, MARKET)) == 1
    assert pool.read(path)["note"] == ""


def test_a_miners_balance_is_swept_to_the_low_mark(
    pool: RunningPool, node: RealNode, miner: str, keys: dict[str, str]
) -> None:
    sent(node, miner, fil=GIVEN_FIL)
    rule_allow(pool, WITHDRAWALS.format(miner=miner))
    path = rule_add(pool, kind="sweep", source=miner, target=keys["owner"])
    before = int(node.call("StateMinerAvailableBalance", miner, None))

    switched_on(pool, path)

    message = landed(pool, MinerMethod.WITHDRAW_BALANCE, miner)
    assert message["from"] == keys["owner"]
    assert int(node.call("StateMinerAvailableBalance", miner, None)) == LOW < before
    print(f"sweep: {before - LOW} attoFIL, {message['receipt']['gas_used']:,} gas")
    settled(pool, node, path, acts=1)
