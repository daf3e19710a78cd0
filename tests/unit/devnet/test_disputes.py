"""A window proof is doubted in vain: the devnet has verified it."""

from __future__ import annotations

import pytest

from poolsite.filecoin.actors.miner_proving import DISPUTE_WINDOWED_POST_PARAMS, DisputeWindowedPoStParams
from tests.unit.devnet.people import STRANGER, chain, send
from tests.unit.devnet.sealing import small_miner


@pytest.fixture
def miner():
    small = small_miner(chain(network="demo"))
    small.add_sectors(1)
    yield small
    small.node.close()


def dispute(miner, deadline):
    params = DISPUTE_WINDOWED_POST_PARAMS.encode(DisputeWindowedPoStParams(deadline, 0))
    fields = {"method": 24, "params": params, "gas_limit": 1_000_000_000}
    return send(miner.node, STRANGER, miner.address, **fields)


def test_a_valid_proof_is_doubted_in_vain(miner):
    deadline = miner.reader.sector(1).deadline
    miner.post(deadline)
    assert dispute(miner, deadline).exit_code == 18, "the deadline is open"
    miner.node.advance_to(miner.deadline(deadline).close)

    receipt = dispute(miner, deadline)

    assert receipt.exit_code == 16
    assert receipt.gas_used > 126_900_000
    assert dispute(miner, 99).exit_code == 16


def test_after_the_dispute_window_nothing_is_doubted(miner):
    deadline = miner.reader.sector(1).deadline
    miner.node.advance_to(miner.deadline(deadline).close + miner.node.network.dispute_window + 1)

    assert dispute(miner, deadline).exit_code == 18
