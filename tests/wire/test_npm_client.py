"""An npm client as it is published, live against the devnet: lotus-client-rpc over WebSocket and HTTP."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from poolsite.devnet.service import Service
from tests.peers.programs import node_begin, node_end, node_packages
from tests.unit.devnet.people import chain

pytestmark = [
    pytest.mark.skipif(
        shutil.which("node") is None, reason="Node.js is not installed; the recorded traffic is replayed"
    ),
    pytest.mark.xdist_group("npm"),
]


@pytest.fixture
def service() -> Iterator[Service]:
    """A devnet whose blocks come as fast as they are made."""
    node = chain()
    node.mine(3)
    over = threading.Event()

    def mine() -> None:
        while not over.wait(0.2):
            node.mine(1)

    miner = threading.Thread(target=mine)
    with Service(node, mining="paused") as running:
        miner.start()
        try:
            yield running
        finally:
            over.set()
            miner.join()
    node.close()


@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_lotus_client_rpc_reads_is_refused_and_follows_heads(service: Service, scheme: str) -> None:
    host, port = service.address
    script = node_begin(node_packages("node"), "shipyard.mjs", f"{scheme}://{host}:{port}/rpc/v0")

    heard: dict[str, Any] = node_end(script)

    assert heard["version"]["APIVersion"] > 0
    assert heard["head"]["Height"] >= 3
    assert heard["info"]["Owner"].startswith("f0")
    assert heard["refusal"] == "failed to load miner actor: actor not found"
    kinds = [[change["Type"] for change in frame] for frame in heard["frames"]]
    assert kinds == ([["current"], ["apply"], ["apply"]] if scheme == "ws" else [])
