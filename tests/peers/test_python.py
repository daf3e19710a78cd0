"""pylotus-rpc against the devnet and against the console's node interface."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.acceptance.pool import RunningPool
from tests.peers.programs import ANSWER_S, SOURCES, python_environment
from tests.peers.questions import Node

pytestmark = pytest.mark.peer


@pytest.mark.parametrize("where", ["devnet", "console"])
def test_pylotus_rpc_reads_state(pool: RunningPool, admin: str, worker: str, where: str) -> None:
    address, token = (pool.listen, "") if where == "devnet" else (f"127.0.0.1:{pool.port}", admin)
    node, miner = Node(address, "/rpc/v0", token), pool.wait_miner()
    script, url = SOURCES / "python" / "drive.py", f"http://{address}/rpc/v0"

    done = subprocess.run(
        [python_environment("python"), script, url, token, miner, worker],
        capture_output=True,
        text=True,
        timeout=ANSWER_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stdout)
    assert heard["network"] == node.ask("StateNetworkName")
    assert heard["version"] == node.ask("StateNetworkVersion", None)
    assert heard["sector_size"] == 2048
    assert heard["owner"] == node.ask("StateMinerInfo", miner, None)["Owner"]
    assert heard["key"] == node.ask("StateAccountKey", heard["owner"], None)
    assert heard["id"] == node.ask("StateLookupID", worker, None)
    assert miner in heard["miners"]
    assert heard["height"] > 0
