"""Partitions are compacted: dead sectors go, living ones stay proven in their new place."""

from __future__ import annotations

import pytest

from poolsite.devnet.state.power_rows import CLAIMS
from poolsite.filecoin.actors.miner_proving import (
    CompactPartitionsParams,
    PartitionSectors,
    TerminateSectorsParams,
)
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import to_cbor
from tests.devnet_epochs import advance_to
from tests.unit.devnet.people import STRANGER, chain, send
from tests.unit.devnet.sealing import small_miner

GAS = {"gas_limit": 2_000_000_000}


@pytest.fixture
def miner():
    small = small_miner(chain(network="demo"))
    small.add_sectors(1, 2)
    yield small
    small.node.close()


def home(miner, number):
    return next(place for place, partition in miner.reader.all_partitions() if number in partition.sectors)


def end(miner, number):
    deadline, partition = home(miner, number)
    wish = PartitionSectors(deadline, partition, bitfield_of([number]))
    params = to_cbor(TerminateSectorsParams((wish,)))
    assert miner.call(9, params, **GAS).exit_code == 0


def compact(miner, deadline, *partitions, who=None):
    params = to_cbor(CompactPartitionsParams(deadline, bitfield_of(partitions)))
    if who is not None:
        return send(miner.node, who, miner.address, method=19, params=params, **GAS).exit_code
    return miner.call(19, params, **GAS).exit_code


def quiet(miner, closed):
    """Let the time pass in which the proofs of a deadline that closed then can be disputed."""
    advance_to(miner.node, closed + miner.node.network.dispute_window + 1)


def power(miner):
    state = miner.node.chain.state_after(miner.node.head.key)
    return state.get(CLAIMS, miner.id).raw


def test_a_dead_sector_goes_and_its_neighbour_keeps_its_power(miner):
    deadline, partition = home(miner, 1)
    for place in sorted({home(miner, 1), home(miner, 2)}):
        miner.post(place[0], (place[1],))
    before = power(miner)
    assert before == 2 * 2048
    closed = miner.deadline(deadline).close
    advance_to(miner.node, closed)
    end(miner, 1)
    together = home(miner, 2) == (deadline, partition)
    quiet(miner, closed)
    before = power(miner)

    assert compact(miner, deadline, partition) == 0

    assert miner.reader.sector(1) is None
    assert power(miner) == before
    assert all(1 not in part.sectors for _, part in miner.reader.all_partitions())
    if together:
        row = miner.reader.sector(2)
        assert (row.deadline, row.partition) == home(miner, 2) == (deadline, 0)
        assert 2 in miner.reader.partition(deadline, 0).active
    else:
        assert miner.reader.deadline(deadline).partitions == 0


def test_what_must_stay_is_refused(miner):
    deadline, partition = home(miner, 1)
    assert compact(miner, 4800, 0) == 16, "no such deadline"
    quiet(miner, miner.deadline(deadline).close)

    assert compact(miner, deadline, partition) == 16, "faulty or not proven yet"
    assert compact(miner, deadline, 7) == 16, "no such partition"
    assert compact(miner, deadline, *range(10)) == 16, "too many"
    assert compact(miner, deadline, partition, who=STRANGER) == 18


def test_a_deadline_that_is_open_or_disputable_is_refused(miner):
    deadline, partition = home(miner, 1)
    miner.wait_open(deadline)
    assert compact(miner, deadline, partition) == 18

    advance_to(miner.node, miner.deadline(deadline).close)
    assert compact(miner, deadline, partition) == 18
