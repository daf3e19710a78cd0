"""A sector's way from pre-commit to power, and what happens when it is not proven."""

from __future__ import annotations

import pytest

from poolsite.devnet.actors.miner.funds import balance_of as balance_in
from poolsite.devnet.state.tables import Draft
from poolsite.filecoin.actors.miner_proving import (
    PartitionSectors,
    TerminateSectorsParams,
    TerminateSectorsReturn,
)
from poolsite.filecoin.actors.miner_sectors import ExpirationExtension2, ExtendSectorExpiration2Params
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import from_cbor, to_cbor
from tests.devnet_epochs import advance_to
from tests.unit.devnet.people import chain
from tests.unit.devnet.sealing import small_miner


@pytest.fixture
def node():
    node = chain()
    yield node
    node.close()


@pytest.fixture
def miner(node):
    return small_miner(node)


def balance_of(miner, actor_id):
    return balance_in(Draft(miner.reader.state), actor_id)


def where(miner, number):
    sector = miner.reader.sector(number)
    return sector.deadline, sector.partition


def test_a_sector_counts_after_its_first_proof(miner):
    miner.add_sectors(7)
    deadline, partition = where(miner, 7)
    assert miner.power == 0
    assert miner.reader.partition(deadline, partition).unproven == (7,)

    receipt = miner.post(deadline)

    assert receipt.exit_code == 0
    assert miner.power == 2048
    assert miner.reader.partition(deadline, partition).active == (7,)


def test_a_missed_deadline_takes_power_and_the_second_a_fee(miner):
    miner.add_sectors(7)
    deadline, _ = where(miner, 7)
    miner.post(deadline)
    info = miner.deadline(deadline)
    advance_to(miner.node, info.close + 1)
    rich = miner.reader.balance

    advance_to(miner.node, info.close + info.params.period)
    first_miss = miner.reader.balance
    advance_to(miner.node, info.close + 2 * info.params.period)
    second_miss = miner.reader.balance

    fee = miner.reader.sector(7).daily_fee
    assert miner.power == 0
    assert miner.reader.partition(deadline, 0).faults == (7,)
    assert rich - first_miss <= fee
    assert first_miss - second_miss > 10**14


def test_a_recovered_sector_counts_again_after_its_proof(miner):
    miner.add_sectors(7)
    deadline, _ = where(miner, 7)
    miner.post(deadline)
    advance_to(miner.node, miner.deadline(deadline).close + miner.node.network.proving_period)
    assert miner.power == 0

    assert miner.declare_recovered(deadline, 7).exit_code == 0
    assert miner.reader.partition(deadline, 0).recoveries == (7,)
    assert miner.power == 0
    assert miner.post(deadline).exit_code == 0

    assert miner.power == 2048
    assert miner.reader.partition(deadline, 0).faults == ()


def test_a_declared_fault_takes_power_at_once(miner):
    miner.add_sectors(7)
    deadline, _ = where(miner, 7)
    miner.post(deadline)
    advance_to(miner.node, miner.deadline(deadline).close)

    assert miner.declare_faults(deadline, 7).exit_code == 0

    assert miner.power == 0


def test_a_wrong_seal_proof_is_refused(miner):
    miner.precommit(miner.seal(7, miner.node.head.height - 1))
    miner.wait_seed(7)
    proof = bytearray(miner.porep(7))
    proof[-1] ^= 1

    receipt = miner.prove({7: bytes(proof)}, gas_limit=400_000_000)

    assert receipt.exit_code == 16
    assert miner.reader.sector(7) is None


def test_a_wrong_window_proof_is_refused(miner):
    miner.add_sectors(7)
    deadline, _ = where(miner, 7)

    receipt = miner.post(deadline, tamper=True, gas_limit=400_000_000)

    assert receipt.exit_code == 16
    assert miner.power == 0


def test_a_batch_goes_through_without_its_bad_sector(miner):
    height = miner.node.head.height - 1
    miner.precommit(miner.seal(1, height), miner.seal(2, height))
    miner.wait_seed(1)

    receipt = miner.prove({1: miner.porep(1), 2: b"no proof"}, require_all=False)

    assert receipt.exit_code == 0
    assert miner.reader.sector(1) is not None
    assert miner.reader.sector(2) is None


def test_a_skipped_sector_pays_at_the_same_close(miner):
    miner.add_sectors(1, 2)
    places = {where(miner, 1), where(miner, 2)}
    deadline = where(miner, 1)[0]
    miner.post(deadline)
    if len(places) == 2:
        miner.post(where(miner, 2)[0])
    advance_to(miner.node, miner.deadline(deadline).close)
    before = miner.power

    partition = miner.reader.partition(*where(miner, 1))
    if len(partition.sectors) == 2:
        assert miner.post(deadline, skipped=(2,)).exit_code == 0
        assert miner.power == before - 2048


def test_a_terminated_sector_pays_and_gives_back_its_pledge(miner):
    miner.add_sectors(7)
    deadline, partition = where(miner, 7)
    miner.post(deadline)
    advance_to(miner.node, miner.deadline(deadline).close)
    before = miner.reader.miner
    burnt = balance_of(miner, 99)
    params = to_cbor(TerminateSectorsParams((PartitionSectors(deadline, partition, bitfield_of([7])),)))

    receipt = miner.call(9, params)

    assert from_cbor(TerminateSectorsReturn, receipt.return_).done
    assert miner.power == 0
    assert miner.reader.partition(deadline, partition).live == ()
    assert miner.reader.miner.pledge == before.pledge - miner.reader.sector(7).pledge == 0
    assert balance_of(miner, 99) - burnt > miner.reader.sector(7).pledge * 2 // 100


def test_an_extended_sector_ends_later(miner):
    miner.add_sectors(7)
    deadline, partition = where(miner, 7)
    miner.post(deadline)
    old = miner.reader.sector(7)
    entry = ExpirationExtension2(deadline, partition, bitfield_of([7]), (), old.expiration + 5000)

    miner.call(32, to_cbor(ExtendSectorExpiration2Params((entry,))))

    assert miner.reader.sector(7).expiration == old.expiration + 5000
    ((epoch, numbers),) = miner.reader.partition(deadline, partition).expirations
    assert numbers == (7,)
    assert epoch >= old.expiration + 5000
    assert miner.power == 2048


def test_a_sector_is_not_extended_before_its_first_window(miner):
    miner.add_sectors(7)
    deadline, partition = where(miner, 7)
    old = miner.reader.sector(7)
    entry = ExpirationExtension2(deadline, partition, bitfield_of([7]), (), old.expiration + 5000)

    receipt = miner.call(32, to_cbor(ExtendSectorExpiration2Params((entry,))), gas_limit=400_000_000)

    assert receipt.exit_code == 20
    assert miner.reader.sector(7).expiration == old.expiration


def test_pre_commit_numbers_are_used_once(miner):
    info = miner.seal(7, miner.node.head.height - 1)
    assert miner.precommit(info).exit_code == 0

    assert miner.precommit(info, gas_limit=400_000_000).exit_code == 16
