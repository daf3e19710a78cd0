"""Plain transfers, accounts, nonces, gas and burning."""

from __future__ import annotations

import pytest

from poolsite.devnet.actors.ledger import BURNT, actor_get, resolve
from poolsite.devnet.estimation import ExecutionFailed
from poolsite.devnet.mempool import MessageRejected
from poolsite.devnet.state.rows import ACTORS
from poolsite.filecoin.address import ZERO_ADDRESS, id_address
from poolsite.filecoin.amounts import FIL, TOTAL_FILECOIN, AttoFil
from tests.unit.devnet.people import OWNER, STRANGER, chain, land, person, send, signed


@pytest.fixture
def node():
    node = chain()
    yield node
    node.close()


def balance(node, address):
    return account(node, address).balance


def account(node, address):
    state = node.chain.state_after(node.head.key)
    actor_id = resolve(state, address)
    assert actor_id is not None
    actor = actor_get(state, actor_id)
    assert actor is not None
    return actor


def test_a_transfer_moves_value_and_costs_gas(node):
    before = balance(node, OWNER.address)

    receipt = send(node, OWNER, STRANGER.address, value=5 * FIL)

    assert receipt.exit_code == 0
    assert balance(node, STRANGER.address) == 10_005 * FIL
    assert balance(node, OWNER.address) < before - 5 * FIL


def test_gas_of_sends_is_exact(node):
    """Figures of lotus-behaviour §1: inclusion plus 481,000; plus 6,000 to oneself; nothing for no value."""
    to_other = signed(node, OWNER, STRANGER.address, value=1)
    to_self = signed(node, STRANGER, STRANGER.address, value=1)
    inclusion = 38_863 + 475_000 + 1_300 * (36 + to_other.chain_length)

    assert land(node, to_other).gas_used == inclusion + 481_000
    assert land(node, to_self).gas_used == 38_863 + 475_000 + 1_300 * (36 + to_self.chain_length) + 6_000


@pytest.mark.parametrize(("key_type", "extra"), [("secp256k1", 4_520_000), ("bls", 4_618_000)])
def test_a_new_key_gets_an_account(node, key_type, extra):
    newcomer = person(f"newcomer {key_type}", key_type)

    message = signed(node, OWNER, newcomer.address, value=FIL)
    receipt = land(node, message)

    assert account(node, newcomer.address).kind == "account"
    assert receipt.gas_used - 481_000 - extra == 513_863 + 1_300 * (36 + message.chain_length)


def test_an_unknown_id_is_no_receiver(node):
    message = signed(node, OWNER, id_address(999_999), value=1, gas_limit=3_000_000)

    assert land(node, message).exit_code == 5


def test_more_than_the_balance_lands_with_exit_6(node):
    message = signed(node, OWNER, STRANGER.address, value=20_000 * FIL, gas_limit=3_000_000)

    assert land(node, message).exit_code == 6
    assert balance(node, STRANGER.address) == 10_000 * FIL


def test_estimating_a_failing_message_says_why(node):
    with pytest.raises(ExecutionFailed, match="sender does not have funds"):
        signed(node, OWNER, STRANGER.address, value=20_000 * FIL)


def test_a_limit_below_the_use_runs_out_of_gas(node):
    message = signed(node, OWNER, STRANGER.address, value=1, gas_limit=1_000_000)

    receipt = land(node, message)

    assert (receipt.exit_code, receipt.gas_used) == (7, 1_000_000)


def test_money_is_neither_made_nor_lost(node):
    for amount in (1, 2, 3):
        send(node, OWNER, STRANGER.address, value=amount * FIL)

    state = node.chain.state_after(node.head.key)
    assert sum(actor.balance for actor in state.records(ACTORS)) == TOTAL_FILECOIN
    assert account(node, id_address(BURNT)).balance > 0


def test_nonces_may_have_gaps_until_they_are_filled(node):
    second = signed(node, OWNER, STRANGER.address, nonce=1, value=1, gas_limit=3_000_000)
    first = signed(node, OWNER, STRANGER.address, nonce=0, value=1, gas_limit=3_000_000)
    node.mempool.push(second)
    node.mine(2)
    assert node.search.find(second.cid, node.head.tipset) is None

    land(node, first)

    assert node.search.find(second.cid, node.head.tipset) is not None


def test_a_replacement_needs_ten_percent_more(node):
    def with_premium(premium):
        return signed(
            node, OWNER, STRANGER.address, nonce=0, gas_limit=3_000_000,
            gas_fee_cap=AttoFil(10**9), gas_premium=AttoFil(premium),
        )  # fmt: skip

    node.mempool.push(with_premium(100_000))
    with pytest.raises(MessageRejected, match="increase GasPremium to 110001 from 110000 to trigger"):
        node.mempool.push(with_premium(110_000))
    node.mempool.push(with_premium(110_001))

    assert [m.message.gas_premium for m in node.mempool.pending()] == [110_001]


def test_zero_address_is_refused(node):
    message = signed(node, OWNER, ZERO_ADDRESS, gas_limit=3_000_000)

    with pytest.raises(MessageRejected, match="message not valid for block inclusion: invalid 'To' address"):
        node.mempool.push(message)
