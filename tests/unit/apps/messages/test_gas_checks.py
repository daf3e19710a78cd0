"""What a message needs before it gets a nonce: gas for its bytes, and a balance that covers it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.messages.models import Message, Sender
from apps.messages.rules.gas_checks import gas_shortfall_describe
from apps.messages.rules.push_items import Gas
from apps.messages.states import MessageState, Wait
from poolsite.filecoin.gas_estimates import inclusion_gas
from poolsite.filecoin.message import signed_message_from_cbor
from tests.messaging import Pool


def test_gas_limit_below_the_messages_storage_gets_no_nonce(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address, gas=Gas(limit=1_000_000))
    Message.objects.update(gas_limit=600_000)  # from before it was checked
    pool.push("two", address)

    pool.choose()

    row = pool.row("one")
    assert (row.state, row.nonce, row.wait) == (MessageState.UNFILLED, None, Wait.ESTIMATE)
    assert row.error.startswith("the gas limit 600000 is below 7")
    assert pool.row("two").nonce == 0


@pytest.mark.parametrize("kind", ["secp256k1", "bls"])
def test_least_gas_limit_is_what_the_message_takes_on_chain(pool: Pool, kind: str) -> None:
    address = pool.address(kind=kind)
    pool.push("one", address, gas=Gas(limit=2_000_000))
    pool.choose()
    signed = signed_message_from_cbor(bytes(pool.row("one").signed))
    least = inclusion_gas(signed.chain_length)

    assert gas_shortfall_describe(replace(signed.message, gas_limit=least)) is None
    assert f"is below {least}," in str(gas_shortfall_describe(replace(signed.message, gas_limit=least - 1)))


def test_what_the_balance_does_not_cover_waits_with_figures(pool: Pool) -> None:
    address = pool.address(fil=1)
    pool.push("dear", address, value=2 * 10**18)
    pool.push("cheap", address)

    pool.choose()

    dear = pool.row("dear")
    assert (dear.wait, dear.state) == (Wait.FUNDS, MessageState.UNFILLED)
    assert dear.error == "needs 2 FIL, has 1 FIL"
    assert pool.row("cheap").nonce == 0


def test_a_proof_pays_less_where_the_balance_is_low(pool: Pool) -> None:
    address = pool.address()
    pool.node.balances[address] = 1_250_000 * 1_000
    pool.push("rest", address)
    pool.push("proof", address, kind="window_post", value=0)
    pool.push("second", address, kind="window_post", value=0)

    pool.choose()

    proof = pool.row("proof")
    assert (proof.nonce, proof.gas_fee_cap, proof.gas_premium) == (0, 1_000, 1_000)
    assert [pool.row(name).wait for name in ("second", "rest")] == [Wait.FUNDS, Wait.FUNDS]


def test_a_proof_that_cannot_pay_the_base_fee_waits_for_funds(pool: Pool) -> None:
    address = pool.address()
    pool.node.balances[address] = 1_250_000 * 99
    pool.push("proof", address, kind="window_post", value=0)

    pool.choose()

    assert (pool.row("proof").nonce, pool.row("proof").wait) == (None, Wait.FUNDS)


def test_an_address_that_was_never_funded_is_named(pool: Pool) -> None:
    address = pool.address(fil=0)
    pool.push("one", address)

    pool.choose()

    assert Sender.objects.get(address=address).wait == Wait.NO_ACTOR
    pool.node.balances[address] = 10**20
    pool.step()
    assert pool.row("one").state == MessageState.FILLED
