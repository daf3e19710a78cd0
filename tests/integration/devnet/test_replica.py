"""Two nodes on one devnet: the second checks and follows the first, through forks and absences."""

from __future__ import annotations

import time

import pytest

from poolsite.devnet.actors.ledger import resolve
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.forks import reorg
from poolsite.devnet.header_checks import BadBlock
from poolsite.devnet.replica import Replica, replica_open
from poolsite.devnet.rpc.fault_injection import drain, fail_next
from poolsite.devnet.rpc.mpool import mpool_push
from poolsite.devnet.service import Service
from poolsite.devnet.state.rows import ACTORS
from poolsite.filecoin.amounts import FIL
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, chain, signed

TIMEOUT_S = 30


@pytest.fixture
def first():
    node = chain()
    node.mine(5)
    yield node
    node.close()


@pytest.fixture
def service(first):
    with Service(first, mining="paused") as running:
        yield running


@pytest.fixture
def second(service, tmp_path):
    node = replica_open(tmp_path / "second.sqlite", service.url, clock=ManualClock())
    yield node
    node.close()


def wait_for(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def same_head(first, second):
    return lambda: first.head.key == second.head.key


def test_the_second_node_has_the_same_chain(service, first, second):
    for who in (OWNER, WORKER):
        first.mempool.push(signed(first, who, STRANGER.address, value=1))
    first.mine(3)

    with Replica(second, service.url):
        wait_for(same_head(first, second))
        first.mine(3)
        wait_for(same_head(first, second))

    assert second.head.root == first.head.root
    assert second.chain.genesis.key == first.chain.genesis.key


def test_it_follows_a_reorg(service, first, second):
    with Replica(second, service.url):
        wait_for(same_head(first, second))
        seen = []
        second.watchers.add(lambda reverted, applied: seen.append((len(reverted), len(applied))))
        reorg(first, 3)
        wait_for(same_head(first, second))

    assert max(reverted for reverted, _ in seen) == 3


def test_both_nodes_meet_the_faults_that_travel_on_chain(service, first, second):
    with Replica(second, service.url):
        fail_next(first, 0, 19, 1)
        drain(first, STRANGER.address, 5)
        first.mine(2)
        message = signed(first, OWNER, WORKER.address, value=1)
        first.mempool.push(message)
        first.mine(2)
        wait_for(same_head(first, second))

    found = second.search.find(message.cid, second.head.tipset)
    assert found is not None
    assert found.receipt.exit_code == 19
    assert second.head.root == first.head.root
    state = second.chain.state_after(second.head.key)
    number = resolve(state, STRANGER.address)
    assert number is not None
    assert state.get(ACTORS, number).balance == 5 * FIL


def test_it_follows_a_flapping_chain(service, first, second):
    with Replica(second, service.url):
        wait_for(same_head(first, second))
        first.faults.set_json({"flapLeft": 3})
        first.mine(4)
        wait_for(same_head(first, second))

    assert second.head.root == first.head.root


def test_messages_travel_both_ways(service, first, second):
    with Replica(second, service.url):
        wait_for(same_head(first, second))
        here, there = signed(first, OWNER, STRANGER.address), signed(first, WORKER, STRANGER.address)
        first.mempool.push(here)
        wait_for(lambda: second.mempool.pending_of(OWNER.address) == [here])
        mpool_push(second, there)

        assert first.mempool.pending_of(WORKER.address) == [there]


def test_it_redials_after_an_absence(service, first, second):
    with Replica(second, service.url):
        wait_for(same_head(first, second))
        first.faults.drop_connections()
        first.mine(2)
        wait_for(same_head(first, second))


def test_a_restarted_replica_catches_up(service, first, second, tmp_path):
    with Replica(second, service.url):
        wait_for(same_head(first, second))
    first.mine(4)

    with Replica(second, service.url):
        wait_for(same_head(first, second))


def test_it_makes_no_blocks_of_its_own(second):
    second.clock.not_before(second.head.tipset.min_timestamp + 10)

    with pytest.raises(BadBlock):
        second.mine_round()
