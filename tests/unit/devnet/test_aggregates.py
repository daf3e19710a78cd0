"""One proof for many sectors: aggregates of ProveCommitSectors3, and sectors without a seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from poolsite.filecoin.actors.batch import BatchReturn
from poolsite.filecoin.actors.miner_sectors import (
    ProveCommitSectors3Params,
    ProveCommitSectorsNIParams,
    SectorActivationManifest,
    SectorNIActivationInfo,
)
from poolsite.filecoin.cids import commd_cid, commr_cid
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deadlines import is_mutable
from poolsite.filecoin.noninteractive import SEED
from poolsite.filecoin.proof_container import aggregate_container
from poolsite.filecoin.sector import MAX_SECTOR_NUMBER, RegisteredSealProof
from tests.unit.devnet.people import STRANGER, chain, send
from tests.unit.devnet.replaying import replay_check
from tests.unit.devnet.sealing import SEAL_PROOF, seal_container, small_miner

NI = RegisteredSealProof.STACKED_DRG_2KIB_V1_2_NI
GAS = 5_000_000_000
SIZE = 2048


@pytest.fixture
def miner():
    small = small_miner(chain())
    yield small
    replay_check(small.node)
    small.node.close()


def aggregate(miner, proofs, *, numbers=None, require_all=True):
    """A ProveCommitSectors3 with one proof for all."""
    params = ProveCommitSectors3Params(
        sector_activations=tuple(SectorActivationManifest(number, ()) for number in numbers or proofs),
        sector_proofs=(),
        aggregate_proof=aggregate_container(int(SEAL_PROOF), tuple(proofs.values())),
        aggregate_proof_type=1,
        require_activation_success=require_all,
        require_notification_success=False,
    )
    return miner.call(34, to_cbor(params), gas_limit=GAS)


def test_four_sectors_are_proven_by_one_aggregate(miner):
    numbers = (1, 2, 3, 4)
    epoch = miner.node.head.height - 1
    assert miner.precommit(*(miner.seal(number, epoch) for number in numbers)).exit_code == 0
    miner.wait_seed(1)
    proofs = {number: miner.porep(number) for number in numbers}
    swapped = dict(zip(numbers, reversed(proofs.values()), strict=True))

    assert aggregate(miner, swapped).exit_code == 16, "each part is about its own sector"
    assert aggregate(miner, {1: proofs[1], 2: proofs[2], 3: proofs[3]}, numbers=numbers).exit_code == 16
    assert aggregate(miner, {1: proofs[1], 2: proofs[2], 3: proofs[3]}).exit_code == 16, "too few"
    assert miner.reader.all_sectors() == []
    receipt = aggregate(miner, proofs)

    assert from_cbor(BatchReturn, receipt.return_).success_count == 4
    assert [sector.number for sector in miner.reader.all_sectors()] == [1, 2, 3, 4]
    for deadline in {sector.deadline for sector in miner.reader.all_sectors()}:
        assert miner.post(deadline).exit_code == 0
    assert miner.power == 4 * SIZE


class Commitment:
    """Sectors that were sealed for a message without a seed."""

    def __init__(self, miner, *numbers):
        self.miner = miner
        network, now = miner.node.network, miner.node.head.height
        sealed = {number: miner.replica(number, now - 1, kind=NI) for number in numbers}
        self.infos = tuple(
            SectorNIActivationInfo(
                sealing_number=number,
                sealer_id=miner.id,
                sealed_cid=commr_cid(sector.comm_r),
                sector_number=number,
                seal_rand_epoch=now - 1,
                expiration=now + network.min_sector_expiration + 1000,
            )
            for number, sector in sealed.items()
        )
        self.proofs = tuple(seal_container(sector, SEED) for sector in sealed.values())

    def deadline(self):
        """The first deadline that may be changed when a message lands that is pushed now."""
        reader, height = self.miner.reader, self.miner.node.head.height
        return next(
            index
            for index in range(self.miner.node.network.proving.deadlines)
            if all(is_mutable(reader.deadline_at(index, height + later)) for later in range(4))
        )

    def prove(self, *infos, **changes):
        params = ProveCommitSectorsNIParams(
            sectors=infos or self.infos,
            aggregate_proof=changes.pop("proof", aggregate_container(int(NI), self.proofs)),
            seal_proof_type=changes.pop("kind", int(NI)),
            aggregate_proof_type=changes.pop("aggregation", 1),
            proving_deadline=changes.pop("deadline", self.deadline()),
            require_activation_success=changes.pop("require_all", True),
        )
        data = to_cbor(params)
        return self.miner.call(36, data, gas_limit=GAS, **changes)


def test_non_interactive_sector_has_power_after_its_first_post(miner):
    commitment = Commitment(miner, 5)
    deadline = commitment.deadline()

    receipt = commitment.prove(deadline=deadline)

    assert from_cbor(BatchReturn, receipt.return_).success_count == 1
    sector = miner.reader.sector(5)
    assert (sector.deadline, sector.seal_proof, sector.deal_weight) == (deadline, int(NI), 0)
    assert miner.reader.miner.pledge == sector.pledge > 0
    assert miner.reader.miner.cron_active
    assert miner.power == 0
    assert miner.post(deadline).exit_code == 0
    assert miner.power == SIZE
    again = commitment.prove()
    assert again.exit_code == 16, "its number is used up"


def test_what_stands_against_such_a_message_is_said_with_the_real_code(miner):
    commitment = Commitment(miner, 5)
    (info,) = commitment.infos
    now = miner.reader.deadline_now(miner.node.head.height + 2).index
    refused = {
        "the open deadline": ({"deadline": now}, 18),
        "no such deadline": ({"deadline": 48}, 16),
        "a type with a seed": ({"kind": int(SEAL_PROOF)}, 16),
        "no type": ({"kind": 99}, 16),
        "the old aggregation": ({"aggregation": 0}, 16),
        "no proof": ({"proof": b"devnet-proof/1"}, 16),
        "two proofs": ({"proof": aggregate_container(int(NI), commitment.proofs * 2)}, 16),
    }

    assert {why: commitment.prove(**changes).exit_code for why, (changes, _) in refused.items()} == {
        why: code for why, (_, code) in refused.items()
    }
    unfit: dict[str, dict[str, Any]] = {
        "sealed by another": {"sealer_id": 1000},
        "sealed as another": {"sealing_number": 6},
        "no commitment": {"sealed_cid": commd_cid(bytes(32))},
        "short life": {"expiration": info.seal_rand_epoch + 1000},
        "ticket of the future": {"seal_rand_epoch": 10**6},
        "number too large": {"sector_number": MAX_SECTOR_NUMBER + 1, "sealing_number": MAX_SECTOR_NUMBER + 1},
    }
    assert {
        why: commitment.prove(replace(info, **change)).exit_code for why, change in unfit.items()
    } == dict.fromkeys(unfit, 16)
    assert commitment.prove(info, info).exit_code == 16
    assert commitment.prove(*[info] * 66).exit_code == 16
    assert send(miner.node, STRANGER, miner.address, method=36, params=b"\x80", gas_limit=GAS).exit_code == 21
    assert miner.reader.sector(5) is None


def test_a_bad_sector_is_left_out_but_must_be_proven_all_the_same(miner):
    commitment = Commitment(miner, 5, 6)
    good, bad = commitment.infos
    pair = (good, replace(bad, expiration=bad.seal_rand_epoch + 1000))

    assert commitment.prove(*pair).exit_code == 16
    half = aggregate_container(int(NI), commitment.proofs[:1])
    assert commitment.prove(*pair, require_all=False, proof=half).exit_code == 16
    receipt = commitment.prove(*pair, require_all=False)

    answer = from_cbor(BatchReturn, receipt.return_)
    assert (answer.success_count, [(code.idx, code.code) for code in answer.fail_codes]) == (1, [(1, 16)])
    assert [sector.number for sector in miner.reader.all_sectors()] == [5]
