"""Data is snapped into a proven sector: proof, pieces, refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poolsite.filecoin.actors.batch import BatchReturn, FailCode
from poolsite.filecoin.actors.miner_sectors import (
    PieceActivationManifest,
    ProveReplicaUpdates3Params,
    SectorUpdateManifest,
)
from poolsite.filecoin.cids import commd_cid, commr_cid
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.fr32 import fr32_pad
from poolsite.filecoin.merkle import TreeShape
from poolsite.filecoin.proof_container import update_container
from poolsite.filecoin.update.parameters import update_parameters_for_size
from tests.devnet_epochs import advance_to
from tests.naive.updates import sector_update, update_prove
from tests.unit.devnet.people import chain
from tests.unit.devnet.sealing import small_miner

SIZE = 2048
UPDATE_PROOF = 0


def seven_prove(miner):
    """Prove sector 7 and pass its deadline: it may be changed from then on."""
    miner.add_sectors(7)
    (deadline, _), _ = miner.reader.all_partitions()[0]
    miner.post(deadline)
    advance_to(miner.node, miner.deadline(deadline).close)


@pytest.fixture
def miner():
    small = small_miner(chain())
    seven_prove(small)
    yield small
    small.node.close()


def updated(miner):
    """The sector with 2032 bytes of data in it."""
    parameters = update_parameters_for_size(SIZE, TreeShape())
    sealed = miner.sealed[7]
    staged = fr32_pad(bytes(range(127)) * 16)
    return sector_update(
        staged, parameters=parameters, tree_r_old=sealed.tree_r_last, comm_c=sealed.tree_c.root
    )


def params(miner, update, *, proof=None, **changes):
    (deadline, partition), _ = miner.reader.all_partitions()[0]
    piece = PieceActivationManifest(commd_cid(update.tree_d.root), SIZE, None, ())
    fields = {
        "sector": 7,
        "deadline": deadline,
        "partition": partition,
        "new_sealed_cid": commr_cid(update.inputs.comm_r_new),
        "pieces": (piece,),
    } | changes
    if proof is None:
        count = update.parameters.partitions
        proof = update_container(UPDATE_PROOF, [update_prove(update, at) for at in range(count)])
    return to_cbor(
        ProveReplicaUpdates3Params(
            (SectorUpdateManifest(**fields),), (proof,), b"", UPDATE_PROOF, None, False, False
        )
    )


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
