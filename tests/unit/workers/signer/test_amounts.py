"""Amounts that would get round a ceiling: below zero, beyond all FIL, inside a proposal."""

from __future__ import annotations

import operator
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from poolsite.filecoin.actors import market
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams
from poolsite.filecoin.actors.multisig import Method, ProposeParams
from poolsite.filecoin.address import MARKET_ACTOR, address_parse
from poolsite.filecoin.amounts import FIL, TOTAL_FILECOIN
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.message import Message, message_to_cbor
from tests.unit.workers.signer.market_payloads import DEAL, VOUCHER
from tests.unit.workers.signer.signing import message, sign
from workers.signer.default_policy import DEFAULT
from workers.signer.errors import Denied, NotUnderstood
from workers.signer.message_payloads import message_request
from workers.signer.payloads import payload_decode
from workers.signer.policy_parse import policy_parse
from workers.signer.sign_request import Amounts, SignRequest

EXPORTED = 2_280_458_852
OPEN = 'version = 1\n[[rule]]\nname = "all"\n'


@pytest.mark.parametrize(
    "amounts",
    [
        {"value": -1000 * FIL},
        {"gas_limit": -1},
        {"gas_fee_cap": -FIL},
        {"gas_premium": -1},
        {"gas_limit": -1, "gas_fee_cap": -1},
        {"value": TOTAL_FILECOIN + 1},
        {"gas_limit": 2**62, "gas_fee_cap": TOTAL_FILECOIN},
        {"gas_limit": 2**62, "gas_premium": TOTAL_FILECOIN},
    ],
)
def test_a_message_with_an_amount_that_no_chain_takes_is_not_signed(signer, amounts):
    with pytest.raises(NotUnderstood, match="amount"):
        sign(signer, message(**amounts))


def test_nothing_that_was_asked_makes_a_days_sum_smaller(signer):
    """A value below zero, which no block takes, once let twenty more FIL out on the same day."""
    for nonce in range(20):
        sign(signer, message(nonce=nonce))
    with pytest.raises(NotUnderstood):
        sign(signer, message(nonce=20, value=-20 * FIL))

    with pytest.raises(Denied, match="value per day"):
        sign(signer, message(nonce=21))


def test_sums_of_a_day_have_no_largest_number(signer):
    (signer.folder / "policy.toml").write_text(OPEN)
    for nonce in range(6):
        sign(signer, message(nonce=nonce, value=TOTAL_FILECOIN))

    spent = signer.records.spent(rule="all", address=str(message().from_), day=signer_day(signer))

    assert spent[0] == 6 * TOTAL_FILECOIN


def signer_day(signer: Any) -> str:
    return str(signer.records.link.execute("SELECT max(day) FROM record").fetchone()[0])


def read(meta_type: str, raw: bytes) -> SignRequest:
    return payload_decode(
        address=message().from_, to_sign=raw, meta_type=meta_type, extra=b"", sign_bytes=b""
    )


@pytest.mark.parametrize(
    "amounts",
    [
        {"provider_collateral": -(10**30)},
        {"client_collateral": -1},
        {"storage_price_per_epoch": -7},
        {"storage_price_per_epoch": TOTAL_FILECOIN},
    ],
)
def test_a_deal_with_such_an_amount_is_not_signed(amounts):
    with pytest.raises(NotUnderstood, match="amount"):
        read("dealproposal", to_cbor(replace(DEAL, **amounts)))


def test_a_voucher_with_such_an_amount_is_not_signed():
    with pytest.raises(NotUnderstood, match="amount"):
        read("signedvoucher", to_cbor(replace(VOUCHER, amount=-1)))


def proposal(value: int, method: int = Method.PROPOSE) -> Message:
    inside = ProposeParams(to=address_parse("f01999"), value=value, method=0, params=b"")
    return message(to=address_parse("f01500"), value=0, method=method, params=to_cbor(inside))


@pytest.mark.parametrize("method", [Method.PROPOSE, Method.PROPOSE_EXPORTED])
def test_a_proposal_to_a_multisig_counts_with_the_value_inside(method):
    one = proposal(5 * FIL, method)

    request = message_request(one, one.from_, raw=message_to_cbor(one))

    assert "multisig.Propose" in request.readings[0]
    assert request.value == 5 * FIL
    assert "5 FIL to f01999" in request.description


def test_a_ceiling_holds_for_what_a_proposal_moves(signer):
    rule = 'version = 1\n[[rule]]\nname = "m"\nmethods = ["multisig.*"]\nvalue_max = "1 FIL"\n'
    (signer.folder / "policy.toml").write_text(rule)
    sign(signer, proposal(FIL))

    with pytest.raises(Denied, match="above 1 FIL"):
        sign(signer, proposal(2 * FIL))
    with pytest.raises(NotUnderstood, match="amount"):
        sign(signer, proposal(-FIL))


def withdrawal(amount: int, *, of: str = "miner", exported: bool = False) -> Message:
    """A message that pays out of a miner, or of an escrow with the market."""
    if of == "miner":
        params = to_cbor(WithdrawBalanceParams(amount_requested=amount))
        return message(
            to=address_parse("f01001"), value=0, method=EXPORTED if exported else 16, params=params
        )
    asked = market.WithdrawBalanceParams(provider_or_client_address=message().from_, amount=amount)
    encoded = to_cbor(asked)
    return message(to=MARKET_ACTOR, value=0, method=EXPORTED if exported else 3, params=encoded)


@pytest.mark.parametrize("exported", [False, True])
@pytest.mark.parametrize("of", ["miner", "market"])
def test_a_ceiling_holds_for_what_a_withdrawal_pays_out(signer, of, exported):
    """Its value is nothing: what it moves stands in its parameters."""
    text = 'version = 1\n[[rule]]\nname = "w"\nmethods = ["*.WithdrawBalance*"]\n'
    (signer.folder / "policy.toml").write_text(f'{text}value_max = "1 FIL"\nvalue_per_day = "2 FIL"\n')

    sign(signer, withdrawal(FIL, of=of, exported=exported))

    with pytest.raises(Denied, match="value 2 FIL is above 1 FIL"):
        sign(signer, withdrawal(2 * FIL, of=of, exported=exported))
    with pytest.raises(NotUnderstood, match="amount"):
        sign(signer, withdrawal(-FIL, of=of, exported=exported))
    sign(signer, replace(withdrawal(FIL, of=of, exported=exported), nonce=1))
    with pytest.raises(Denied, match="value per day 3 FIL is above 2 FIL"):
        sign(signer, replace(withdrawal(FIL, of=of, exported=exported), nonce=2))


DRAINS = {
    "a deposit into a new miner": ("power.CreateMiner", "f04", 1000, 5, 2),
    "a pledge for somebody's sector": ("miner.ProveCommitSectors3", "f0666", 1000, 5, 0),
    "an escrow of somebody": ("market.AddBalance", "f05", 1, 1, 5),
    "small transfers": ("Send", "f0666", 1, 0.1, 20),
}


@pytest.mark.parametrize("drain", DRAINS)
def test_the_default_lets_nobody_empty_a_key_by_many_messages(drain):
    """A console that was taken over may choose receivers: what it gets in a day has an end."""
    reading, to, value, fee, most = DRAINS[drain]
    sums: dict[str, Amounts] = defaultdict(Amounts)
    policy, noon, gone = policy_parse(DEFAULT), datetime(2026, 11, 20, 12, tzinfo=UTC), 0
    request = SignRequest(
        "message",
        message().from_,
        b"",
        readings=(reading,),
        to=address_parse(to),
        value=value * FIL,
        fee_max=int(fee * FIL),
    )
    for _ in range(1_000):
        verdict = policy.decide(request, caller="gateway ws://hub", now=noon, spent=lambda rule: sums[rule])
        if verdict.error:
            break
        sums[verdict.rule] = Amounts(*map(operator.add, sums[verdict.rule], request.amounts))
        gone += 1

    assert gone == most
