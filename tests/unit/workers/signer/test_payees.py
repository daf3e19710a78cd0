"""Whom a message's value is for, where its parameters say so: a rule's receivers hold for them, too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poolsite.filecoin.actors import market, power
from poolsite.filecoin.address import MARKET_ACTOR, POWER_ACTOR, Address, address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.message import Message
from tests.unit.workers.signer.signing import SENDER, message, sign
from workers.signer.default_policy import DEFAULT
from workers.signer.errors import Denied

STRANGER = address_parse("f1z5e2mduf7uxnn7k3szuy6vcoapzeigdjjttjjyy")
MINER = address_parse("f01234")
OPEN = 'version = 1\n[[rule]]\nname = "open"\n'
ESCROWS = f'{OPEN}methods = ["market.AddBalance*"]\nto = ["f05", "f01234"]\n'


def creation(owner: Address, *, method: int = power.Method.CREATE_MINER) -> Message:
    params = power.CreateMinerParams(
        owner=owner,
        worker=SENDER,
        window_post_proof_type=13,
        peer=b"",
        multiaddrs=(),
    )
    return message(to=POWER_ACTOR, method=method, value=900 * FIL, params=to_cbor(params))


def escrow(owner: Address, *, method: int = market.Method.ADD_BALANCE) -> Message:
    return message(to=MARKET_ACTOR, method=method, params=to_cbor(market.AddBalanceParams(owner)))


def test_the_default_makes_no_miner_for_another_owner(signer):
    """What a new miner has beyond its deposit, its owner may withdraw at once."""
    sign(signer, creation(SENDER))

    with pytest.raises(Denied, match=rf"no rule allows message: power\.CreateMiner to f04: for {STRANGER}"):
        sign(signer, creation(STRANGER))


def test_a_rule_can_name_another_owner(signer):
    (signer.folder / "policy.toml").write_text(DEFAULT.replace('["f04"]', f'["f04", "{STRANGER}"]'))

    sign(signer, creation(STRANGER))
    with pytest.raises(Denied, match="for f01234"):
        sign(signer, creation(MINER))


def test_the_default_fills_the_senders_own_escrow_alone(signer):
    sign(signer, escrow(SENDER))
    for other in (STRANGER, MINER):
        with pytest.raises(Denied, match=f"to f05: for {other}"):
            sign(signer, replace(escrow(other), nonce=9))


def test_receivers_of_a_rule_hold_for_escrows(signer):
    (signer.folder / "policy.toml").write_text(ESCROWS)
    exported = market.Method.ADD_BALANCE_EXPORTED

    for nonce, own in enumerate((escrow(SENDER), escrow(MINER), escrow(MINER, method=exported))):
        sign(signer, replace(own, nonce=nonce))
    for method in (market.Method.ADD_BALANCE, exported):
        with pytest.raises(Denied, match=f"to f05: for {STRANGER}"):
            sign(signer, replace(escrow(STRANGER, method=method), nonce=9))


def test_a_rule_without_receivers_limits_no_payee(signer):
    (signer.folder / "policy.toml").write_text(OPEN)

    sign(signer, escrow(STRANGER))
    sign(signer, creation(STRANGER, method=power.Method.CREATE_MINER_EXPORTED))
