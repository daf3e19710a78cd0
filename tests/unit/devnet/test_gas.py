"""Gas of landed calls against figures measured on a lotus node (lotus-behaviour §1): within 10 %."""

from __future__ import annotations

import pytest

from poolsite.filecoin.actors.miner_control import ChangePeerIDParams, WithdrawBalanceParams
from poolsite.filecoin.actors.power import CreateMinerParams
from poolsite.filecoin.address import POWER_ACTOR
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import to_cbor
from tests.devnet_epochs import advance_to
from tests.unit.devnet.people import OWNER, WORKER, chain, send
from tests.unit.devnet.sealing import POST_PROOF, small_miner

M = 1_000_000


def near(used, measured):
    return used == pytest.approx(measured, rel=0.1)


def test_the_way_of_two_sectors_costs_what_it_costs_on_lotus():
    node = chain()
    create = to_cbor(CreateMinerParams(OWNER.address, WORKER.address, POST_PROOF, b"", ()))
    created = send(node, OWNER, POWER_ACTOR, method=2, params=create, value=FIL)
    miner = small_miner(node)
    first = miner.precommit(miner.seal(1, node.head.height - 1))
    second = miner.precommit(miner.seal(2, node.head.height - 1))
    miner.wait_seed(2)
    proven = miner.prove({1: miner.porep(1)})
    deadline = miner.reader.all_partitions()[0][0][0]
    posted = miner.post(deadline)
    advance_to(node, miner.deadline(deadline).close)
    faulty = miner.declare_faults(deadline, 1)
    recovered = miner.declare_recovered(deadline, 1)
    again = miner.post(deadline)
    peer = miner.call(4, to_cbor(ChangePeerIDParams(b"peer")))
    withdraw = to_cbor(WithdrawBalanceParams(FIL))
    withdrawn = send(node, OWNER, miner.address, method=16, params=withdraw)
    node.close()

    assert near(created.gas_used, 44.1 * M)
    assert near(first.gas_used, (12.8 + 3.7) * M)
    assert near(second.gas_used, 12.9 * M)
    assert near(proven.gas_used, 90.9 * M + 1_300 * 29_500)  # a vanilla proof is longer than a SNARK
    assert near(posted.gas_used, 24.0 * M + 1_300 * 5_700)
    assert near(faulty.gas_used, 26.1 * M)
    assert near(recovered.gas_used, 18.2 * M)
    assert near(again.gas_used, 145.4 * M)
    assert near(peer.gas_used, 5.0 * M)
    assert near(withdrawn.gas_used, 4.75 * M)
