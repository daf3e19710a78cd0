"""A window proof is doubted: in vain where the devnet has verified it, else at the miner's cost."""

from __future__ import annotations

import pytest

from poolsite.devnet.actors.ledger import resolve
from poolsite.devnet.consensus import tipset_execute
from poolsite.devnet.profile import Profile
from poolsite.devnet.state.power_rows import CLAIMS
from poolsite.devnet.state.rows import ACTORS
from poolsite.filecoin.actors.miner_proving import DisputeWindowedPoStParams
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import to_cbor
from tests.devnet_epochs import advance_to
from tests.unit.devnet.people import STRANGER, chain, send
from tests.unit.devnet.replaying import replay_check
from tests.unit.devnet.sealing import small_miner


@pytest.fixture
def miner():
    small = small_miner(chain(network="demo"))
    small.add_sectors(1)
    yield small
    small.node.close()


def why(miner):
    """The actor's words to the newest message that was executed."""
    node = miner.node
    executed = tipset_execute(node.chain, node.chain.parent(node.head.tipset).tipset, node.rules)
    return executed.applied[-1].error.partition(" -- ")[2].rpartition(" (16)\n")[0]


def dispute(miner, deadline, proof=0):
    params = to_cbor(DisputeWindowedPoStParams(deadline, proof))
    fields = {"method": 24, "params": params, "gas_limit": 1_000_000_000}
    return send(miner.node, STRANGER, miner.address, **fields)


def test_a_valid_proof_is_doubted_in_vain(miner):
    deadline = miner.reader.sector(1).deadline
    miner.post(deadline)
    assert dispute(miner, deadline).exit_code == 18, "the deadline is open"
    advance_to(miner.node, miner.deadline(deadline).close)

    receipt = dispute(miner, deadline)

    assert receipt.exit_code == 16
    assert why(miner) == "failed to dispute valid post"
    assert dispute(miner, deadline, 1).exit_code == 16
    assert why(miner) == "failed to load proof for dispute: proof 1 not found"
    assert receipt.gas_used > 126_900_000
    assert dispute(miner, 99).exit_code == 16


def test_after_the_dispute_window_nothing_is_doubted(miner):
    deadline = miner.reader.sector(1).deadline
    advance_to(miner.node, miner.deadline(deadline).close + miner.node.network.dispute_window + 1)

    assert dispute(miner, deadline).exit_code == 18


@pytest.fixture
def trusting():
    """A miner on a chain that takes proofs unseen, as real ones do."""
    profile = Profile(null_free=True, verify_post="optimistic")
    small = small_miner(chain(network="test", profile=profile))
    small.add_sectors(1, 2)
    yield small
    small.node.close()


def closed(miner, *, tamper):
    """Post a proof of the first sector's deadline and wait until the window is closed."""
    deadline = miner.reader.sector(1).deadline
    assert miner.post(deadline, tamper=tamper).exit_code == 0, "it is taken unseen"
    advance_to(miner.node, miner.deadline(deadline).close)
    return deadline


def test_a_wrong_proof_is_taken_and_a_dispute_makes_its_sectors_faulty(trusting):
    deadline = closed(trusting, tamper=True)
    state = trusting.node.chain.state_after(trusting.node.head.key)
    sector = trusting.reader.sector(1)
    assert state.get(CLAIMS, trusting.id).raw >= 2048, "it counts until somebody looks"
    before, disputer = state.get(ACTORS, trusting.id).balance, resolve(state, STRANGER.address)
    rich = state.get(ACTORS, disputer).balance

    receipt = dispute(trusting, deadline)

    assert receipt.exit_code == 0
    assert 158_000_000 < receipt.gas_used < 162_000_000, "as measured on a real node"
    state = trusting.node.chain.state_after(trusting.node.head.key)
    partition = trusting.reader.partition(deadline, sector.partition)
    assert 1 in partition.faults
    assert 1 not in partition.active
    lost = before - state.get(ACTORS, trusting.id).balance
    assert 24 * FIL < lost < 25 * FIL, "20 to the fire, 4 to the disputer, and a few days' reward"
    assert state.get(ACTORS, disputer).balance - rich > 39 * FIL // 10
    assert dispute(trusting, deadline).exit_code == 16
    assert why(trusting) == "failed to load proof for dispute: proof 0 not found"
    replay_check(trusting.node)


def test_a_right_proof_that_was_taken_unseen_stands_every_dispute(trusting):
    deadline = closed(trusting, tamper=False)

    assert dispute(trusting, deadline).exit_code == 16
    assert why(trusting) == "failed to dispute valid post"
    assert trusting.reader.partition(deadline, 0).faults == ()


def test_a_proof_that_recovers_power_is_verified_at_once(trusting):
    deadline = trusting.reader.sector(1).deadline
    advance_to(trusting.node, trusting.deadline(deadline).close + 1)
    assert 1 in trusting.reader.partition(deadline, 0).faults
    assert trusting.declare_recovered(deadline, *trusting.reader.partition(deadline, 0).faults).exit_code == 0

    assert trusting.post(deadline, tamper=True, gas_limit=1_000_000_000).exit_code == 16
    assert trusting.post(deadline).exit_code == 0


def test_a_window_without_a_proof_leaves_nothing_to_dispute(trusting):
    deadline = closed(trusting, tamper=True)
    advance_to(trusting.node, trusting.deadline(deadline).next_not_elapsed().close)

    assert dispute(trusting, deadline).exit_code == 16
    assert why(trusting) == "failed to load proof for dispute: proof 0 not found"
