"""Which address sends a miner's messages, and who may see the miner."""

from __future__ import annotations

import pytest

from apps.core.errors import BadValue
from apps.messages.states import SenderState
from apps.miners.errors import MinerUnknown
from apps.miners.models import Miner, MinerAddress
from apps.miners.selectors.miners import miner_get, miners_visible
from apps.miners.selectors.senders import sender_choose, senders_able
from apps.miners.services.addresses import senders_set
from apps.miners.states import Use
from apps.users.rules.principals import SYSTEM
from apps.wallets.models import Wallet
from tests import factories
from tests.people import principal

pytestmark = pytest.mark.django_db

OWNER, WORKER, CONTROL, SPARE = (factories.bls(number) for number in (11, 12, 13, 14))


def miner(**balances: int) -> Miner:
    """A miner whose owner, worker and two control addresses have signers with these balances in FIL."""
    row = factories.miner(owner=OWNER, worker=WORKER, control=[CONTROL, SPARE])
    for name, address in (("owner", OWNER), ("worker", WORKER), ("control", CONTROL), ("spare", SPARE)):
        if name in balances:
            factories.wallet(address, balance=balances[name] * factories.FIL)
    return row


def test_the_worker_sends_pre_commits_and_commits() -> None:
    row = miner(owner=5, worker=5, control=5)

    assert sender_choose(row, Use.PRE_COMMIT).address == WORKER
    assert sender_choose(row, Use.COMMIT).address == WORKER


def test_a_spare_control_address_sends_proofs() -> None:
    row = miner(owner=5, worker=5, control=5, spare=5)
    MinerAddress.objects.create(miner=row, use=Use.PRE_COMMIT, address=CONTROL)

    assert sender_choose(row, Use.PRE_COMMIT).address == CONTROL
    assert sender_choose(row, Use.POST).address == SPARE


def test_an_ethereum_key_is_never_chosen_as_it_signs_no_method_of_a_miner() -> None:
    eth = "f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa"
    row = factories.miner(owner=OWNER, worker=WORKER, control=[eth])
    for address in (WORKER, eth):
        factories.wallet(address, balance=5 * factories.FIL)

    assert senders_able(row, Use.POST) == [WORKER]
    with pytest.raises(BadValue, match="Ethereum key"):
        senders_set(row, named={"post": [eth]}, by=SYSTEM)


def test_without_funds_the_next_one_is_taken() -> None:
    assert sender_choose(miner(worker=0, owner=5), Use.COMMIT).address == OWNER


@pytest.mark.parametrize(
    ("needed", "sender"), [(0, CONTROL), (1, CONTROL), (2, WORKER), (5, WORKER), (200, WORKER)]
)
def test_one_that_has_less_than_the_message_carries_is_passed_over(needed: int, sender: str) -> None:
    row = miner(control=2, worker=200, owner=200)
    MinerAddress.objects.create(miner=row, use=Use.COMMIT, address=CONTROL)

    assert sender_choose(row, Use.COMMIT, needed=needed * factories.FIL).address == sender


@pytest.mark.parametrize(("state", "sender"), [("FILLED", OWNER), ("UNFILLED", WORKER)])
def test_what_is_in_flight_from_an_address_does_not_count(state: str, sender: str) -> None:
    row = miner(worker=5, owner=2)
    factories.message(from_addr=WORKER, state=state, value=4 * factories.FIL + factories.FIL * 19 // 20)

    assert sender_choose(row, Use.POST).address == sender


def test_a_stopped_address_is_passed_over() -> None:
    row = miner(worker=5, owner=2)
    factories.sender(WORKER, state=SenderState.FORBIDDEN)

    assert sender_choose(row, Use.POST).address == OWNER


def test_those_with_good_funds_can_send_in_their_order_then_the_richest() -> None:
    row = miner(owner=0, worker=5, control=0, spare=2)
    Wallet.objects.filter(address=OWNER).update(balance=7)

    assert senders_able(row, Use.POST) == [SPARE, WORKER, OWNER, CONTROL]
    assert senders_able(row, Use.POST, needed=3 * factories.FIL) == [WORKER, SPARE, OWNER, CONTROL]


def test_among_poor_ones_the_richest_is_taken() -> None:
    row = factories.miner(owner=OWNER, worker=WORKER)
    factories.wallet(WORKER, balance=1)
    factories.wallet(OWNER, balance=2)

    assert sender_choose(row, Use.COMMIT).address == OWNER


def test_an_address_that_the_chain_does_not_know_for_the_miner_is_left_out() -> None:
    row = miner(worker=5)
    stranger = factories.wallet(factories.bls(99))
    MinerAddress.objects.create(miner=row, use=Use.POST, address=stranger.address)

    assert sender_choose(row, Use.POST).address == WORKER


def test_a_signer_of_another_tenant_does_not_count() -> None:
    row = factories.miner(owner=OWNER, worker=WORKER)
    factories.wallet(OWNER, of="bob")

    chosen = sender_choose(row, Use.POST)

    assert chosen.address == WORKER
    assert "no signer" in chosen.reason


def test_the_operator_sees_all_a_tenant_its_own_a_stranger_none() -> None:
    row = factories.miner(actor_id=4242)

    assert list(miners_visible(SYSTEM)) == [row]
    assert miner_get(principal("alice"), "t04242") == row
    assert list(miners_visible(principal("bob"))) == []
    with pytest.raises(MinerUnknown):
        miner_get(principal("bob"), "f04242")


@pytest.mark.parametrize("text", ["", "f0", "nonsense", "f0999999999999999999", "f01000/../"])
def test_what_is_no_miner_is_not_found(text: str) -> None:
    with pytest.raises(MinerUnknown):
        miner_get(SYSTEM, text)
