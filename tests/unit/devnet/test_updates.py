"""Data is snapped into a proven sector: proof, pieces, refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poolsite.filecoin.actors.batch import BatchReturn, FailCode
from poolsite.filecoin.actors.miner_sectors import (
    PieceActivationManifest,
    ProveReplicaUpdates3Params,
)
from poolsite.filecoin.cids import commd_cid, commr_cid
from poolsite.filecoin.codec import from_cbor, to_cbor
from tests.unit.devnet.people import chain
from tests.unit.devnet.sealing import small_miner
from tests.unit.devnet.updates import SIZE, params, seven_prove, updated


@pytest.fixture
def miner():
    small = small_miner(chain())
    seven_prove(small)
    yield small
    small.node.close()


def test_a_sector_gets_data_and_goes_on_proving(miner):
    sector = updated(miner)
    old = miner.reader.sector(7)

    receipt = miner.call(35, params(miner, sector))

    assert from_cbor(BatchReturn, receipt.return_).success_count == 1
    new = miner.reader.sector(7)
    assert new.sealed_cid == commr_cid(sector.inputs.comm_r_new)
    assert new.sector_key == old.sealed_cid
    assert new.expiration == old.expiration
    assert miner.power == SIZE


def test_a_wrong_update_is_refused(miner):
    sector = updated(miner)
    wrong = {
        "another piece": params(
            miner, sector, pieces=(PieceActivationManifest(commd_cid(bytes(32)), SIZE, None, ()),)
        ),
        "no proof": params(miner, sector, proof=b"devnet-proof/1"),
        "another deadline": params(miner, sector, deadline=5),
        "unknown sector": params(miner, sector, sector=99_999),
    }

    codes = {name: miner.call(35, data, gas_limit=400_000_000).exit_code for name, data in wrong.items()}

    assert codes == {"another piece": 16, "no proof": 16, "another deadline": 16, "unknown sector": 17}


def test_a_sector_is_updated_once(miner):
    data = params(miner, updated(miner))
    assert miner.call(35, data).exit_code == 0

    assert miner.call(35, data, gas_limit=400_000_000).exit_code == 16


def test_a_sector_in_an_immutable_deadline_is_refused(miner):
    (deadline, _), _ = miner.reader.all_partitions()[0]
    miner.wait_open(deadline)

    assert miner.call(35, params(miner, updated(miner)), gas_limit=400_000_000).exit_code == 16


def test_another_size_of_update_proof_is_refused(miner):
    update = updated(miner)
    good = from_cbor(ProveReplicaUpdates3Params, params(miner, update))

    other = to_cbor(replace(good, update_proofs_type=1))
    twice = to_cbor(
        replace(good, sector_updates=good.sector_updates * 2, sector_proofs=good.sector_proofs * 2)
    )

    assert miner.call(35, other, gas_limit=400_000_000).exit_code == 16
    receipt = miner.call(35, twice)
    assert from_cbor(BatchReturn, receipt.return_).fail_codes == (FailCode(1, 16),)
