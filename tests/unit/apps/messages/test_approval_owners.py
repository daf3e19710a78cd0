"""One person alone gets no miner to which the pool then pays deposits, no other owner or signer."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.models import ApprovalRule, Message
from apps.messages.selectors.approval_choice import amount_moved_compute, approval_rule_find
from poolsite.filecoin.actors import miner, multisig, power
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.codec import to_cbor

KEY = "f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za"
CREATE = int(power.Method.CREATE_MINER)
RULES: dict[str, dict[str, Any]] = {
    "any message above": {"above": 5},
    "miner": {"actor": "miner"},
    "miner above": {"actor": "miner", "above": 5},
    "power above": {"actor": "power", "above": 5},
}


def row(**values: Any) -> Message:
    """Return a message as it is pushed."""
    shown: dict[str, Any] = {"from_addr": KEY, "to": "f04", "value": 1, "method": CREATE, "tenant_id": 7}
    return Message(**{**shown, **values})


def fits(rule: ApprovalRule, message: Message, *, receiver: str = "") -> bool:
    return approval_rule_find(message, rules=[rule], receiver=receiver) is not None


def proposal(to: str, *, method: int) -> bytes:
    return to_cbor(multisig.ProposeParams(address_parse(to), AttoFil(0), method, b""))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("method", [power.Method.CREATE_MINER, power.Method.CREATE_MINER_EXPORTED])
def test_a_new_miner_waits_however_little_it_costs(name: str, method: int) -> None:
    rule = ApprovalRule(**RULES[name])

    assert fits(rule, row(method=int(method)), receiver="power")
    assert fits(rule, row(method=int(method)))
    proposed = row(to="f02000", method=2, params=proposal("f04", method=int(method)))
    assert fits(rule, proposed, receiver="multisig")


def test_a_rule_for_another_method_or_actor_leaves_new_miners_alone(db: None) -> None:
    for how in (
        {"actor": "miner", "method": int(miner.Method.WITHDRAW_BALANCE), "above": 5},
        {"actor": "market", "above": 5},
        {"actor": "power", "method": 9, "above": 5},
        {"method": 0, "above": 5},
    ):
        assert not fits(ApprovalRule(**how), row(), receiver="power"), how


@pytest.mark.parametrize(
    "method",
    [
        miner.Method.CHANGE_OWNER_ADDRESS,
        miner.Method.CHANGE_OWNER_ADDRESS_EXPORTED,
        miner.Method.CHANGE_BENEFICIARY,
        miner.Method.CHANGE_BENEFICIARY_EXPORTED,
    ],
)
@pytest.mark.parametrize("receiver", ["miner", ""])
def test_another_owner_or_beneficiary_is_an_amount_above_any(method: int, receiver: str) -> None:
    message = row(to="f01000", method=int(method), value=0)

    assert fits(ApprovalRule(above=5), message, receiver=receiver)
    assert fits(ApprovalRule(actor="miner", above=5), message, receiver=receiver)
    assert not fits(ApprovalRule(above=5), message, receiver="account")
    assert amount_moved_compute(message, receiver=receiver) == 0, "what is shown is what it moves"
    proposed = row(to="f02000", method=2, params=proposal("f01000", method=int(method)))
    assert fits(ApprovalRule(above=5), proposed, receiver="multisig")


def test_a_worker_of_a_miner_changes_without_a_second_person() -> None:
    message = row(to="f01000", method=int(miner.Method.CHANGE_WORKER_ADDRESS), value=0)

    assert not fits(ApprovalRule(above=5), message, receiver="miner")
    assert amount_moved_compute(message, receiver="miner") == 0
    assert fits(ApprovalRule(above=5), message), "it may be a withdrawal from the market"


@pytest.mark.parametrize(
    "method",
    [one for one in multisig.Method if "SIGNER" in one.name or "THRESHOLD" in one.name],
)
def test_other_signers_of_a_multisig_are_an_amount_above_any(method: int) -> None:
    for inner in ("f02000", "f2aucqkbifaucqkbifaucqkbifaucqkbifd23kqqq"):
        proposed = row(to="f02000", value=0, method=2, params=proposal(inner, method=int(method)))
        assert fits(ApprovalRule(above=5), proposed, receiver="multisig")
        assert fits(ApprovalRule(above=5), proposed)
        assert fits(ApprovalRule(actor="multisig", above=5), proposed, receiver="multisig")
    of_a_key = row(to="f02000", value=0, method=2, params=proposal(KEY, method=int(method)))
    assert not fits(ApprovalRule(above=5), of_a_key, receiver="multisig")
    direct = row(to="f01000", value=0, method=int(method))
    assert not fits(ApprovalRule(above=5), direct, receiver="miner"), "5 is a miner's SubmitWindowedPoSt"
