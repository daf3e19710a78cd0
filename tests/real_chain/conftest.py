"""A pool that works on a real lotus node through a line that can be cut; see docs/real-chain.md."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest

from apps.blocks.selectors.mining_miners import MiningMiner, miners_mining
from apps.chain.node.client import chain_client
from apps.chain.services.networks import network_bind
from apps.chain.services.nodes import nodes_sync
from apps.users.services.grants import miner_grant, signer_grant
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE
from tests import factories, people
from tests.acceptance.pool import RunningPool
from tests.cables import Cable
from tests.integration.pools import wait_until
from tests.real_chain.node import SLOW_MS, STEP_S, RealNode
from tests.real_chain.people import Person
from tests.real_chain.steps import pool_on, sent

FUNDS_FIL: Final = 1_000


class NodeLine:
    """The pool's connections to the node: to the pool a node whose line is cut is dead."""

    def __init__(self, node: RealNode) -> None:
        parts = urlsplit(node.url)
        assert parts.hostname in ("127.0.0.1", "localhost"), "the node must run here: NODE=http://127.0.0.1:…"
        self.relay = Cable(parts.port or 80)
        self.text = f"{node.token}:{urlunsplit(parts._replace(netloc=f'127.0.0.1:{self.relay.port}'))}"
        self._open = ExitStack()

    def mend(self) -> None:
        """Take connections again."""
        self._open.enter_context(self.relay.running())

    def cut(self) -> None:
        """Close all connections, and take none."""
        self._open.close()


@pytest.fixture(scope="session")
def node() -> Iterator[RealNode]:
    """The node that is named, at a pace at which a pool can be watched."""
    real = RealNode.named()
    real.pace(SLOW_MS)
    yield real
    real.client.close()


@pytest.fixture(scope="session")
def line(node: RealNode) -> Iterator[NodeLine]:
    """The line between pool and node."""
    one = NodeLine(node)
    one.mend()
    yield one
    one.cut()


@pytest.fixture(scope="session")
def pool(node: RealNode, line: NodeLine) -> Iterator[RunningPool]:
    """A pool with an empty var that makes Groth16 proofs alone, on the real node's chain."""
    assert os.environ.get(FOLDER_VARIABLE), (
        f"{FOLDER_VARIABLE} must name the folder whose keys the node reads"
    )
    running = pool_on(line.text, PIECE_URLS_PRIVATE="1")
    running.chain = node
    with running:
        yield running


@pytest.fixture(scope="session")
def keys(pool: RunningPool, node: RealNode) -> dict[str, str]:
    """The addresses of the pool's own signer by what they are for, each with FIL from the node's wallet."""
    wait_until((pool.var / "signer.json").exists, within_s=STEP_S, what=pool.diagnosis)
    found: dict[str, str] = json.loads((pool.var / "signer.json").read_text())
    for address in dict.fromkeys(found.values()):
        sent(node, address, fil=FUNDS_FIL)

    def are_granted() -> bool:
        return set(found.values()) <= {row["address"] for row in pool.read("/api/v1/wallets")["results"]}

    wait_until(are_granted, within_s=STEP_S, what=pool.diagnosis)
    return found


@pytest.fixture
def operators(pool: RunningPool) -> Iterator[tuple[Person, Person]]:
    """The operator, and a second one whom the first has invited; both signed in."""
    with Person(pool) as first, Person(pool) as second:
        first.sign_in(pool.operator["username"], pool.operator["password"])
        second.join(first.invite("second"), username="second")
        yield first, second


def miner_with_power(node: RealNode) -> tuple[str, str]:
    """Return a miner whose worker key the node has, and that key."""
    for miner in node.call("StateListMiners", []):
        if int(node.call("StateMinerPower", miner, [])["MinerPower"]["QualityAdjPower"]):
            worker = node.call("StateAccountKey", node.call("StateMinerInfo", miner, [])["Worker"], [])
            if node.call("WalletHas", worker):
                return str(miner), str(worker)
    raise AssertionError("no miner with power has its worker key at the node")


@pytest.fixture
def mining(transactional_db: None, node: RealNode) -> tuple[RealNode, MiningMiner]:
    """The pool with that miner, bound to the node's network."""
    address, worker = miner_with_power(node)
    actor_id = address_parse(address).actor_id
    worker = str(address_parse(worker))
    factories.miner(actor_id, worker=worker, owner=worker, qa_power=2048)
    miner_grant(tenant=people.tenant("alice"), actor_id=actor_id)
    signer_grant(tenant=people.tenant("alice"), address=worker)
    nodes_sync([node.text])
    network_bind(chain_client())
    [miner] = miners_mining()
    return node, miner
