"""The chain's file: stopping, time that stands still, files that are no chain."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter

import pytest

from poolsite.devnet.chain_node import REPLAYED
from poolsite.devnet.clock import ManualClock, WallClock
from poolsite.devnet.genesis_config import BrokenChain
from poolsite.devnet.node import Devnet
from poolsite.devnet.profile import Profile
from poolsite.devnet.store import BadStore
from poolsite.devnet.store_rows import row_decode
from poolsite.filecoin.amounts import FIL
from tests.unit.devnet.people import OWNER, STRANGER, chain, send, signed
from tests.unit.devnet.sealing import small_miner

DAY_S = 24 * 3600


def reopen(path, clock=None):
    return Devnet(path, network="test", clock=clock or ManualClock())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chain.sqlite"


def test_a_stopped_chain_goes_on_where_it_was(path):
    node = chain(path)
    send(node, OWNER, STRANGER.address, value=FIL)
    node.mine(5)
    head, root = node.head.key, node.head.root
    node.close()

    again = reopen(path)

    assert (again.head.key, again.head.root) == (head, root)
    assert again.chain.state_after(head).root() == root
    assert again.mine_one().parents == head
    again.close()


def test_pending_messages_survive(path):
    node = chain(path)
    node.mine(2)
    message = signed(node, OWNER, STRANGER.address, value=1)
    node.mempool.push(message)
    node.close()

    again = reopen(path)
    assert again.mempool.pending_of(OWNER.address) == [message]
    again.mine(2)

    assert again.search.find(message.cid, again.head.tipset) is not None
    again.close()


def test_a_day_of_rest_makes_no_faults(path):
    """Devnet time stands still: the next block has the next height and a timestamp of tomorrow."""
    node = chain(path)
    miner = small_miner(node)
    miner.add_sectors(7)
    (deadline, _), _ = miner.reader.all_partitions()[0]
    miner.post(deadline)
    height, stamp, power = node.head.height, node.head.tipset.min_timestamp, miner.power
    node.close()

    again = reopen(path, ManualClock(node.clock.now() + DAY_S))
    head = again.mine_one()

    assert head.height == height + 1
    assert head.min_timestamp >= stamp + DAY_S
    miner.node = again
    assert miner.power == power == 2048
    assert [partition.faults for _, partition in miner.reader.all_partitions()] == [()]
    again.close()


def test_a_clock_that_went_back_does_not_stop_the_chain(path):
    node = chain(path)
    node.mine(3)
    stamp = node.head.tipset.min_timestamp
    node.close()

    again = reopen(path, ManualClock(stamp - DAY_S))

    assert again.mine_one().min_timestamp > stamp
    again.close()


def test_a_wall_clock_follows_jumps_forward_only():
    clock = WallClock()
    real = time.time
    try:
        time.time = lambda: real() + DAY_S
        assert clock.now() - real() > DAY_S - 5
        time.time = lambda: real() - DAY_S
        assert clock.now() - real() > DAY_S - 5
    finally:
        time.time = real


def test_old_states_are_read_from_the_file(path):
    node = chain(path)
    roots = {}
    for _ in range(30):
        node.mine_one()
        roots[node.head.key] = node.head.root
    node.close()

    again = reopen(path)

    assert {key: again.chain.state_after(key).root() for key in roots} == roots
    again.close()


def test_a_start_reads_no_row_of_an_old_state_twice(path, monkeypatch):
    """Rows that change with every tipset are decoded in their last form alone, in what is replayed too."""
    node = chain(path)
    node.mine(40)
    node.close()
    read: list[tuple[str, bytes]] = []

    def counted(table, key, data):
        read.append((f"{table} {key}", data))
        return row_decode(table, key, data)

    monkeypatch.setattr("poolsite.devnet.chain.row_decode", counted)
    again = reopen(path)

    assert read
    assert len(read) == len(set(read))
    assert max(Counter(name for name, _ in read).values()) <= REPLAYED
    again.close()


def test_genesis_settings_stay(path):
    node = Devnet(path, network="test", clock=ManualClock(), profile=Profile(genesis_power=4096))
    node.close()

    again = Devnet(path, network="demo", clock=ManualClock(), profile=Profile(genesis_power=1))

    assert again.network.name == "localnet-poolsite-test"
    assert again.profile.genesis_power == 4096
    again.close()


def test_garbage_is_refused_and_left_alone(path):
    garbage = os.urandom(5000)
    path.write_bytes(garbage)

    with pytest.raises(BadStore, match="is not a devnet file"):
        Devnet(path)

    assert path.read_bytes() == garbage


def test_a_changed_state_is_noticed(path):
    node = chain(path)
    node.mine(8)
    node.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE tipsets SET root = ? WHERE height = 7", (os.urandom(38),))
    db.close()

    with pytest.raises((BrokenChain, ValueError)):
        reopen(path)
