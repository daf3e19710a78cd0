"""A rule for Send counts value that leaves by any other method, too: each way that a thief would try."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.models import ApprovalRule, Message
from apps.messages.selectors.approval_choice import amount_moved_compute, approval_rule_find
from apps.users.services.grants import miner_grant
from poolsite.filecoin.actors import eam, evm, init, market, miner, multisig, paych, power
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.codec import to_cbor
from tests.people import tenant

pytestmark = pytest.mark.django_db

KEY = "f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za"
OTHER = "f1d2xrzcslx7xlbbylc5c3d5lvandqw4iwl6epxba"
FIL = 10**18
SEND_ABOVE = ApprovalRule(method=0, above=5 * FIL)


def escrow(of: str) -> bytes:
    return to_cbor(market.AddBalanceParams(address_parse(of)))


def creation(owner: str) -> bytes:
    address = address_parse(owner)
    return to_cbor(power.CreateMinerParams(address, address, 14, b"", ()))


def proposal(to: str, *, method: int, value: int, params: bytes = b"") -> bytes:
    return to_cbor(multisig.ProposeParams(address_parse(to), AttoFil(value), method, params))


def waits(
    to: str, method: int, *, receiver: str = "", rule: ApprovalRule = SEND_ABOVE, **values: Any
) -> bool:
    shown: dict[str, Any] = {"from_addr": KEY, "value": 6 * FIL, "tenant_id": tenant("alice").pk}
    message = Message(to=to, method=method, **{**shown, **values})
    return approval_rule_find(message, rules=[rule], receiver=receiver) is not None


@pytest.mark.parametrize(
    ("to", "receiver", "method", "params"),
    [
        ("f02000", "multisig", 1 << 24, b""),
        ("f02000", "multisig", (1 << 40) + 7, b"any"),
        ("f02000", "multisig", int(multisig.Method.APPROVE), b"\x82\x00\x40"),
        ("f02000", "", 1 << 24, b""),
        ("f05", "market", int(market.Method.ADD_BALANCE), escrow(OTHER)),
        ("f05", "market", int(market.Method.ADD_BALANCE), b"unreadable"),
        ("f01", "init", int(init.Method.EXEC), b""),
        ("f01", "init", int(init.Method.EXEC4), b""),
        ("f04", "power", int(power.Method.CREATE_MINER), creation(OTHER)),
        ("f010", "eam", int(eam.Method.CREATE_EXTERNAL), b""),
        ("f02001", "evm", int(evm.Method.INVOKE_CONTRACT), b"\x41\x00"),
        ("f02002", "paych", int(paych.Method.SETTLE), b""),
        ("f06", "verifreg", 4, b""),
        ("f01001", "miner", int(miner.Method.CHANGE_PEER_ID), b""),
        ("f01001", "miner", int(miner.Method.PRE_COMMIT_SECTOR_BATCH2), b""),
        ("f02000", "multisig", 2, proposal("f02003", method=1 << 24, value=6 * FIL)),
        ("f02000", "multisig", 2, proposal("f05", method=2, value=6 * FIL, params=escrow(OTHER))),
    ],
)
def test_value_that_leaves_by_another_method_waits_like_a_transfer(
    to: str, receiver: str, method: int, params: bytes
) -> None:
    assert waits(to, method, receiver=receiver, params=params)
    assert not waits(to, method, receiver=receiver, params=params, value=0) or method in (2, 3)


@pytest.mark.parametrize("value", [5 * FIL, 0])
def test_as_much_as_the_rule_allows_goes_on(value: int) -> None:
    assert not waits("f02000", 1 << 24, receiver="multisig", value=value)
    assert not waits(
        "f05", int(market.Method.ADD_BALANCE), receiver="market", params=escrow(OTHER), value=value
    )


def test_what_is_known_to_come_back_needs_nobody() -> None:
    miner_grant(tenant=tenant("alice"), actor_id=1000)
    miner_grant(tenant=tenant("bob"), actor_id=1001)
    add = int(market.Method.ADD_BALANCE)

    assert not waits("f05", add, receiver="market", params=escrow(KEY))
    assert not waits("f05", add, receiver="market", params=escrow("f01000"))
    assert waits("f05", add, receiver="market", params=escrow("f01001"))
    assert not waits("f04", int(power.Method.CREATE_MINER), receiver="power", params=creation(KEY))
    for method in (
        miner.Method.PRE_COMMIT_SECTOR_BATCH2,
        miner.Method.CHANGE_PEER_ID,
        miner.Method.REPAY_DEBT,
    ):
        assert not waits("f01000", int(method), receiver="miner")
        assert waits("f01001", int(method), receiver="miner")
    assert not waits("f01001", int(miner.Method.PRE_COMMIT_SECTOR_BATCH2), receiver="miner", kind="precommit")
    back = proposal("f05", method=add, value=6 * FIL, params=escrow("f02000"))
    assert not waits("f02000", 2, receiver="multisig", params=back, value=0)


def test_an_approval_of_a_multisig_pays_out_what_it_does_not_say() -> None:
    approve, params = int(multisig.Method.APPROVE), b"\x82\x00\x40"
    assert waits("f02000", approve, receiver="multisig", params=params, value=0)
    above = ApprovalRule(above=5 * FIL)
    assert waits("f02000", approve, receiver="multisig", params=params, value=0, rule=above)
    message = Message(from_addr=KEY, to="f02000", method=approve, params=params, value=0)
    assert amount_moved_compute(message, receiver="multisig") == 0, "what is shown is what it moves"
    assert not waits("f01000", approve, receiver="miner", params=params, value=0)
