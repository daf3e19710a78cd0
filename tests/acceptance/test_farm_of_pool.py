"""A farm with a console of its own and no node: a pool elsewhere is its chain, by its account's token."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.chain import whole_history_require
from tests.acceptance.messager import token_for
from tests.acceptance.pool import PERIOD_S, RunningPool
from tests.integration.pools import SITE, wait_until

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

FUND = 2_000 * 10**18


def funded(pool: RunningPool, farm: RunningPool) -> dict[str, str]:
    """The farm's keys, each with FIL of the devnet's own wallet."""
    keys: dict[str, str] = json.loads((farm.var / "signer.json").read_text())
    wallet = pool.chain.call("WalletDefaultAddress")
    for address in keys.values():
        message = {"To": address, "From": wallet, "Value": str(FUND), "Method": 0, "Params": ""}
        gas = {"Version": 0, "Nonce": 0, "GasLimit": 0, "GasFeeCap": "0", "GasPremium": "0"}
        pool.chain.call("MpoolPushMessage", message | gas, None)
    return keys


def signer_allow(var: Path, miner: str) -> None:
    """The signer's owner lets a miner in."""
    words = ["-m", "workers", "signer", "policy", "--dir", str(var / "signer"), "--miner", miner]
    subprocess.run([sys.executable, *words], cwd=SITE, check=True, capture_output=True)


def test_a_farm_seals_and_proves_by_the_node_of_a_pool_elsewhere() -> None:
    with RunningPool(POOLSITE_DISABLE="sealer,prover") as pool:
        pool.wait_miner()
        assert pool.ask("POST", "/api/v1/tenants", json={"name": "farm"}).status_code == 201
        token = token_for(pool, "farm", perm="write")
        node = f"{token}:http://127.0.0.1:{pool.port}/rpc/v1"
        with RunningPool(CHAIN_URLS=node, POOLSITE_SECTOR_SIZE="2KiB") as farm:
            keys = funded(pool, farm)
            wanted = {"name": "farm", "owner": keys["owner"], "worker": keys["worker"], "sector_size": 2048}
            said: list[str] = []

            def is_made() -> bool:
                answer = farm.ask("POST", "/api/v1/miners", json=wanted)
                said.append(answer.text)
                return answer.status_code == 201

            wait_until(is_made, within_s=60, what=lambda: f"a miner: {said[-1]}\n{farm.diagnosis()}")
            miner = farm.wait_miner()
            signer_allow(farm.var, miner)
            [uuid] = farm.pledge(miner)
            farm.wait_state(uuid, "PROVING")
            wait_until(
                lambda: pool.chain.active(miner) == {0},
                within_s=2 * PERIOD_S,
                what=lambda: f"the sector active\n{farm.diagnosis()}",
            )

            whole_history_require(pool.chain, miner=miner, numbers={0})
            assert pool.read("/api/v1/sectors")["results"] == [], "the pool knows nothing of the farm's"
            assert miner not in [row["address"] for row in pool.read("/api/v1/miners")["results"]]
