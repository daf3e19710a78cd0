"""A devnet that is killed at any instant starts again with a whole chain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import httpx

from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from tests.integration.pools import NO_CERTIFICATES


def test_a_killed_devnet_starts_again_with_a_whole_chain(tmp_path):
    """kill -9 at several instants of a busy second; each start replays the newest tipsets."""
    data = tmp_path / "chain.sqlite"
    heights: list[int] = []
    for pause in (0.3, 0.7, 0.05, 0.45):
        process = _start(data)
        try:
            url = process.stdout.readline().decode().split()[-1]
            heights.append(_wait_height(url, above=heights[-1] if heights else 0))
            time.sleep(pause)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()

    node = Devnet(data, network="test", clock=ManualClock())

    assert node.head.height >= heights[-1]
    assert heights == sorted(heights)
    keys = [tipset.key for tipset in node.chain.ancestors(node.head.tipset)]
    assert node.chain.state_after(keys[0]).root() == node.head.root
    assert node.chain.at_height(0, node.head.tipset).key == keys[-1]
    node.close()


_RUN = """
import sys
from poolsite.devnet.clock import WallClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
node = Devnet(sys.argv[1], network="test", clock=WallClock(scale=5))
with Service(node) as service:
    print(service.url, flush=True)
    sys.stdin.read()
"""


def _start(data):
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _wait_height(url, *, above):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        request = {"jsonrpc": "2.0", "id": 1, "method": "Filecoin.ChainHead", "params": []}
        height = httpx.post(url, json=request, verify=NO_CERTIFICATES).json()["result"]["Height"]
        if height > above:
            return height
        time.sleep(0.02)
    raise AssertionError("the chain does not move")
