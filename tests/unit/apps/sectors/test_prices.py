"""What new sectors cost: the node's figures, the gas of what has landed, and who has to pay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from apps.chain.errors import NodeUnavailable
from apps.chain.node.client import chain_client
from apps.messages.states import MessageState
from apps.miners.models import Miner, MinerAddress
from apps.miners.states import Use
from apps.sectors.models import BatchSettings
from apps.sectors.services.sealing.prices import (
    GAS_FIRST,
    Payer,
    PledgePrice,
    gas_average_compute,
    payers_list,
    payment_plan_make,
    pledge_price,
)
from apps.sectors.states import BatchKind, BatchState
from poolsite.filecoin.policy import network_by_name
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.factories import DEPOSIT, FIL, PLEDGE

pytestmark = pytest.mark.django_db


@pytest.fixture
def node() -> Iterator[Any]:
    with factories.node_served() as answering:
        yield answering


def price_of(miner: Miner, **head: Any) -> PledgePrice:
    network = network_by_name(factories.NETWORK)
    return pledge_price(miner, client=chain_client(), head=factories.head(**head), network=network)


def landed(miner: Miner, kind: str, *, sectors: int, gas_used: int) -> None:
    """A batch that landed with so many sectors."""
    batch = factories.batch(miner, kind, state=BatchState.LANDED, exit_code=0)
    factories.message(batch.message_id, state=MessageState.LANDED, gas_used=gas_used)
    held: dict[str, Any] = {"precommit_batch" if kind == BatchKind.PRE_COMMIT else "commit_batch": batch}
    for _ in range(sectors):
        factories.sector(miner, state=SectorState.PROVING, **held)


PRICE = PledgePrice(
    deposit=5,
    pledge=12,
    precommit_gas=1,
    commit_gas=2,
    is_guess=False,
    daily_fee=1,
    life_epochs=1,
    is_sent=True,
)


def test_deposit_and_pledge_are_what_the_messages_will_carry(node):
    price = price_of(factories.miner())

    assert price.deposit == DEPOSIT
    assert price.topup == PLEDGE * 11 // 10 - DEPOSIT
    assert price.daily_fee > 0


def test_without_a_landed_batch_gas_is_a_guess(node):
    price = price_of(factories.miner(), base_fee=0)

    assert price.is_guess
    assert price.gas == sum(GAS_FIRST.values()) * 125 // 100 * 100_000


def test_gas_is_learnt_from_landed_batches_by_sector():
    miner = factories.miner()
    landed(miner, BatchKind.PRE_COMMIT, sectors=3, gas_used=30_000)
    landed(miner, BatchKind.PRE_COMMIT, sectors=1, gas_used=14_000)
    landed(factories.miner(), BatchKind.PRE_COMMIT, sectors=1, gas_used=99_000)

    assert gas_average_compute(miner, kind=BatchKind.PRE_COMMIT) == 11_000
    assert gas_average_compute(miner, kind=BatchKind.COMMIT) is None


def test_a_node_that_is_away_gives_no_price():
    with pytest.raises(NodeUnavailable):
        price_of(factories.miner())


def test_one_address_pays_both_messages():
    miner = factories.miner()
    factories.wallet(miner.worker, balance=100)

    [payer] = payers_list(miner, price=PRICE, count=2)

    assert payer.address == miner.worker
    assert (payer.needs, payer.promised, payer.left) == (2 * 15, 0, 70)


def test_the_miners_balance_pays_first():
    miner = factories.miner()
    factories.wallet(miner.worker, balance=100)

    paying = payment_plan_make(miner, price=replace(PRICE, available=8))

    funds = paying.funds(2)
    assert (funds.needed, funds.from_balance, funds.sent) == (2 * 12, 8, 16)
    [payer] = paying.payers(2)
    assert (payer.needs, payer.left) == (2 * 15 - 8, 78)
    assert (paying.most(20), paying.most(20, keep=90)) == (7, 1), "(100 + 8) / 15, and with 90 kept"
    none_sent = payment_plan_make(miner, price=replace(PRICE, is_sent=False)).funds(2)
    assert (none_sent.from_balance, none_sent.sent) == (24, 0)


def test_what_is_under_way_takes_the_miners_balance_first():
    miner = factories.miner()
    factories.wallet(miner.worker, balance=100)
    factories.sector(miner, state=SectorState.PC1_DONE)

    for available, own, promised in ((8, 0, 6 + 9 - 8), (20, 8, 6 + 9 - 12)):
        paying = payment_plan_make(miner, price=replace(PRICE, available=available))
        [payer] = paying.payers(1)
        assert (paying.own, payer.promised) == (own, promised)


def test_sectors_under_way_take_their_part_first():
    miner = factories.miner()
    factories.wallet(miner.worker, balance=100)
    factories.sector(miner, state=SectorState.PC1_DONE)  # both messages to come
    factories.sector(miner, state=SectorState.SEED_ASSIGNED)  # the commit to come
    factories.sector(miner, state=SectorState.COMMIT_LANDED)
    factories.sector(miner, state=SectorState.PROVING)

    [payer] = payers_list(miner, price=PRICE, count=1)

    assert payer.promised == (5 + 1) + 2 * (7 + 2)
    assert payer.left == 100 - payer.promised - 15


def test_verified_data_in_sectors_under_way_take_their_tenfold_part():
    miner = factories.miner()
    factories.wallet(miner.worker, balance=100)
    for state in (SectorState.PC1_DONE, SectorState.SEED_ASSIGNED, SectorState.PROVING):
        sector = factories.sector(miner, state=state)
        size, number = miner.sector_size // 2, sector.number
        placed: dict[str, Any] = {"state": "PACKED", "padded_size": size, "sector_number": number}
        factories.piece(miner, client=9, allocation=number, **placed)
        factories.piece(miner, **placed)

    [payer] = payers_list(miner, price=PRICE, count=1)

    whole = 12 * 11 // 2 - 5  # half of it counts ten times
    assert payer.promised == (5 + 1) + 2 * (whole + 2)
    payer, own = payers_list(miner, price=replace(PRICE, is_sent=False), count=1)
    assert (payer.promised, own.promised) == (1 + 2 * 2, 5 + 2 * whole)


def test_a_balance_that_pays_alone_is_set_against_what_is_under_way():
    miner = factories.miner(available=20)
    factories.wallet(miner.worker, balance=100)
    for state in (SectorState.PC1_DONE, SectorState.SEED_ASSIGNED, SectorState.COMMIT_LANDED):
        factories.sector(miner, state=state)
    price = replace(PRICE, is_sent=False)

    paying = payment_plan_make(miner, price=price)

    sender, own = paying.payers(1)
    assert (sender.address, sender.promised, sender.needs) == (miner.worker, 1 + 2 * 2, 3)
    assert own == Payer(miner.address, balance=20, promised=12 + 7, needs=12)
    assert paying.most(10) == 0
    miner.available = 19 + 2 * 12
    paying = payment_plan_make(miner, price=price)
    assert (paying.most(10), paying.most(10, keep=1)) == (2, 1)


@pytest.mark.parametrize(
    ("message", "waits"),
    [
        (None, True),
        ({"state": MessageState.UNFILLED}, True),
        ({"state": MessageState.LANDED}, False),
        ({"state": MessageState.LANDED, "exit_code": 16}, True),
    ],
    ids=["not pushed", "under way", "landed", "failed on the chain"],
)
def test_a_balance_that_pays_alone_is_promised_until_a_message_has_landed(message, waits):
    miner = factories.miner()
    first, second = factories.batch(miner), factories.batch(miner, BatchKind.COMMIT)
    factories.sector(miner, state=SectorState.PRECOMMIT_SENT, precommit_batch=first)
    factories.sector(miner, state=SectorState.COMMIT_SENT, commit_batch=second)
    for batch in (first, second):
        if message is not None:
            factories.message(batch.message_id, **message)

    _, own = payers_list(miner, price=replace(PRICE, is_sent=False), count=1)

    assert own.promised == 7 + (5 + 7 if waits else 0)


@pytest.mark.parametrize("is_sent", [False, True])
def test_sectors_of_another_miner_take_what_its_own_messages_carry(is_sent):
    miner, other = factories.miner(), factories.miner()
    BatchSettings.objects.create(miner=other, send_funds=is_sent)
    factories.sector(other, state=SectorState.SEED_ASSIGNED)

    payer, *_ = payers_list(miner, price=replace(PRICE, is_sent=not is_sent), count=1)

    assert payer.promised == 2 + (7 if is_sent else 0)


def test_sectors_of_other_miners_take_their_part_of_the_same_address():
    miner = factories.miner()
    factories.wallet(miner.worker, balance=100)
    double = factories.miner(of="alice", sector_size=2 * miner.sector_size)
    factories.sector(double, state=SectorState.SEED_ASSIGNED)
    apart = factories.miner(worker=factories.bls(7), owner=factories.bls(7))
    factories.sector(apart, state=SectorState.SEED_ASSIGNED)

    [payer] = payers_list(miner, price=PRICE, count=1)

    assert payer.promised == 2 * 7 + 2


def test_messages_that_have_not_landed_take_their_part():
    miner = factories.miner()
    factories.wallet(miner.worker, balance=100)
    gas: dict[str, Any] = {"gas_limit": 10, "gas_fee_cap": 3}
    factories.message(from_addr=miner.worker, value=4)
    factories.message(from_addr=miner.worker, value=5, state=MessageState.FILLED, **gas)
    factories.message(from_addr=miner.worker, value=600, state=MessageState.LANDED)
    factories.message(from_addr=factories.bls(7), value=700)

    [payer] = payers_list(miner, price=PRICE, count=1)

    assert payer.promised == 4 + 5 + 30


def test_each_address_pays_for_its_use():
    control = factories.secp(71)
    miner = factories.miner(control=[control])
    factories.wallet(miner.worker, balance=FIL)
    factories.wallet(control, balance=FIL)
    MinerAddress.objects.create(miner=miner, use=Use.COMMIT, address=control)

    needs = {payer.address: payer.needs for payer in payers_list(miner, price=PRICE, count=1)}

    assert needs == {miner.worker: 5 + 1, control: 7 + 2}


def test_who_has_too_little_is_seen():
    miner = factories.miner()
    factories.wallet(miner.worker, balance=14)

    [payer] = payers_list(miner, price=PRICE, count=1)

    assert payer.left == -1
