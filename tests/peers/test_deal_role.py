"""go-libp2p makes deals with `runrole --p2p=true` of hosts with the role Deal: it is killed and stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import pytest

from tests.acceptance.pool import RunningPool
from tests.deal_client import COLLATERAL, DOOR_S, Files
from tests.integration.pools import SITE, wait_until
from tests.peers.market import Market, files_served
from tests.peers.programs import go_program

pytestmark = pytest.mark.peer

DATA: Final = b"data of a host's deal " * 50
STOP_S: Final = 30


class RoleHost:
    """A machine that takes part by `runrole --p2p=true`; it has the pool's folder, and so the peer's key."""

    def __init__(self, market: Market, name: str) -> None:
        self.market, self.name = market, name
        self.log = market.pool.base / f"{name}.log"
        self.start()

    def start(self) -> None:
        flags = ["--window-post=false", "--winning-post=false", "--p2p=true"]
        command = [sys.executable, "manage.py", "runrole", f"--miner={self.market.miner}", *flags]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [*command, f"--host={self.name}"],
                cwd=SITE,
                env=self.market.pool.env | {"PYTHONUNBUFFERED": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def wait_says(self, text: str) -> None:
        wait_until(
            lambda: text in self.log.read_text(),
            within_s=DOOR_S,
            what=lambda: f"{text}: {self.log.read_text()}{self.market.pool.diagnosis()}",
        )

    def wait_serves(self) -> None:
        """Wait until the door answers here, with the key that clients know."""
        market = self.market
        self.wait_says(f"peer id {market.address.rpartition('/')[2]}")
        path = f"/api/v1/miners/{market.miner}/market"
        wait_until(
            lambda: market.pool.read(path)["door"]["host"] == self.name,
            within_s=DOOR_S,
            what=self.log.read_text,
        )
        assert market.door() == market.address

    def end(self, number: signal.Signals) -> int:
        """Send a signal; gives how the process ended."""
        self.process.send_signal(number)
        return self.process.wait(STOP_S)


@pytest.fixture(scope="module")
def market(go: None) -> Iterator[Market]:
    program = go_program("storage")
    with RunningPool(has_tables=True, web_processes=1, PIECE_URLS_PRIVATE="1") as pool:
        yield Market(pool, program)


@pytest.fixture
def host(market: Market) -> Iterator[RoleHost]:
    host = RoleHost(market, "deal-1")
    try:
        host.wait_says("deal: held")
        host.wait_serves()
        yield host
    finally:
        host.process.kill()
        host.process.wait(STOP_S)


def test_a_deal_with_a_hosts_process_that_restarts_is_published_once(host: RoleHost) -> None:
    market, pool = host.market, host.market.pool
    with files_served({"/data": DATA}) as files:
        order = market.order(DATA, f"{files}/data")
        assert market.propose(order)["propose"]["accepted"]
        market.wait_state(order, state="TRANSFERRING")
        assert host.end(signal.SIGKILL) == -signal.SIGKILL
        host.start()
        host.wait_serves()
        answer = market.propose(order)
        assert answer["propose"]["accepted"]
        assert answer["status"]["answer"]["DealStatus"]["Status"] == "Accepted"
        Files.is_open.set()
        market.wait_state(order, state="PUBLISHING")
        assert host.end(signal.SIGTERM) == 0
        assert "deal: released" in host.log.read_text()
        host.start()
        host.wait_serves()
        market.wait_state(order, state="SEALING")

    assert market.propose(order)["propose"]["accepted"]
    [deal] = pool.chain.call("StateMarketDeals", None).values()
    assert deal["Proposal"]["PieceCID"]["/"] == order["Piece"]
    assert int(pool.chain.call("StateMarketBalance", market.miner, None)["Locked"]) == COLLATERAL


def test_one_host_serves_a_miner_and_another_goes_on_as_the_same_peer(host: RoleHost) -> None:
    market = host.market
    order = market.order(b"never there" * 30, "http://127.0.0.1:9/nothing")
    assert market.propose(order)["propose"]["accepted"]
    other = RoleHost(market, "deal-2")
    try:
        other.wait_says("deal: standby, deal-1 holds it")
        assert "deals of" not in other.log.read_text()

        assert host.end(signal.SIGKILL) == -signal.SIGKILL
        other.wait_says("deal: held")
        other.wait_serves()
        answer = market.propose(order)
        assert answer["propose"]["accepted"]
        assert answer["status"]["answer"]["DealStatus"]["Status"] == "Accepted"

        host.start()
        host.wait_says("deal: standby, deal-2 holds it")
        assert other.end(signal.SIGTERM) == 0
        host.wait_says("deal: held")
        host.wait_serves()
        assert market.propose(order)["propose"]["accepted"]
    finally:
        other.process.kill()
        other.process.wait(STOP_S)
