"""Which messages a rule makes wait, and how rules come and go."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core.errors import Conflict, NotAllowed
from apps.messages.errors import BadMessage, PersonRequired, SecondPersonRequired
from apps.messages.models import ApprovalRule, Message
from apps.messages.selectors.approval_choice import approval_rule_describe, approval_rule_find
from apps.messages.services.approval_rules import (
    approval_rule_add,
    approval_rule_removal_cancel,
    approval_rule_removal_request,
    approval_rule_remove,
)
from apps.users.models import AuditEntry, User
from apps.users.rules.principals import SYSTEM, Principal
from apps.users.selectors.principals import principal_of
from apps.users.services.grants import miner_grant
from apps.users.states import Role
from poolsite.filecoin.actors import market, miner, multisig
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.ethereum import METHOD_INVOKE_EVM
from tests.messaging import START
from tests.people import operator_person, person, principal, principal_by_token, tenant, token

KEY = "f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za"
OTHER = "f1d2xrzcslx7xlbbylc5c3d5lvandqw4iwl6epxba"
WITHDRAW = int(miner.Method.WITHDRAW_BALANCE)


def withdrawal(amount: int) -> bytes:
    return to_cbor(WithdrawBalanceParams(AttoFil(amount)))


def proposal(to: str, *, method: int, value: int = 0, params: bytes = b"") -> bytes:
    return to_cbor(multisig.ProposeParams(address_parse(to), AttoFil(value), method, params))


def row(**values: Any) -> Message:
    """Return a message as it is pushed."""
    shown: dict[str, Any] = {"from_addr": KEY, "to": "f01000", "value": 0, "method": 0, "tenant_id": 7}
    return Message(**{**shown, **values})


def fits(rule: ApprovalRule, message: Message, *, receiver: str = "") -> bool:
    return approval_rule_find(message, rules=[rule], receiver=receiver) is not None


@pytest.mark.parametrize("method", [WITHDRAW, int(miner.Method.WITHDRAW_BALANCE_EXPORTED)])
@pytest.mark.parametrize("receiver", ["miner", ""])
def test_a_named_method_waits_by_either_of_its_numbers(method: int, receiver: str) -> None:
    rule = ApprovalRule(actor="miner", method=WITHDRAW)

    assert fits(rule, row(method=method), receiver=receiver)
    assert not fits(rule, row(method=method), receiver="multisig")
    assert not fits(rule, row(method=17), receiver=receiver)
    assert approval_rule_describe(rule) == "miner WithdrawBalance"


def test_a_rule_speaks_about_its_own_tenant_only() -> None:
    assert fits(ApprovalRule(tenant_id=7, method=16), row(method=16))
    assert not fits(ApprovalRule(tenant_id=8, method=16), row(method=16))
    assert not fits(ApprovalRule(tenant_id=8, method=16), row(method=16, tenant_id=None))
    assert fits(ApprovalRule(method=16), row(method=16, tenant_id=None))


def test_an_amount_counts_what_is_carried_paid_out_or_proposed() -> None:
    rule = ApprovalRule(above=5)

    assert not fits(rule, row(to=OTHER, value=5))
    assert fits(rule, row(to=OTHER, value=6))
    assert fits(rule, row(method=WITHDRAW, params=withdrawal(6)), receiver="miner")
    assert not fits(rule, row(method=WITHDRAW, params=withdrawal(5)), receiver="miner")
    escrow = to_cbor(market.WithdrawBalanceParams(address_parse("f01000"), AttoFil(6)))
    assert fits(rule, row(to="f05", method=3, params=escrow), receiver="market")
    assert fits(rule, row(to="f02000", method=2, params=proposal(OTHER, method=0, value=6)))


def test_what_a_multisig_is_asked_to_call_waits_like_a_direct_call() -> None:
    rule = ApprovalRule(actor="miner", method=WITHDRAW)
    inner = proposal("f01000", method=WITHDRAW, params=withdrawal(1))
    nested = proposal("f02001", method=2, params=inner)

    for params in (inner, nested):
        message = row(to="f02000", method=2, params=params)
        assert fits(rule, message, receiver="multisig")
        assert fits(rule, message)
    assert not fits(rule, row(to="f02000", method=2, params=proposal(OTHER, method=0)), receiver="multisig")


@pytest.mark.parametrize("broken", [b"", b"\x81", b"\xff", b"\x84\x42\x00\x01\x40\x02"])
@pytest.mark.parametrize("receiver", ["multisig", ""])
def test_a_proposal_that_cannot_be_read_may_do_anything(broken: bytes, receiver: str) -> None:
    message = row(to="f02000", method=2, params=broken)

    for rule in (
        ApprovalRule(actor="multisig"),
        ApprovalRule(actor="miner", method=16),
        ApprovalRule(above=5),
    ):
        assert fits(rule, message, receiver=receiver)
    assert not fits(ApprovalRule(above=5), message, receiver="miner")


def test_an_amount_that_cannot_be_read_is_above_any() -> None:
    long_form = b"\x98\x01" + withdrawal(6)[1:]  # the same list, its length in a byte of its own

    assert fits(ApprovalRule(above=5), row(method=WITHDRAW, params=long_form), receiver="miner")
    inner = proposal("f01000", method=WITHDRAW, params=long_form)
    assert fits(ApprovalRule(above=5), row(to="f02000", method=2, params=inner), receiver="multisig")
    assert not fits(ApprovalRule(above=5), row(method=17, params=long_form), receiver="miner")


def test_a_proposal_too_deep_to_be_read_may_do_anything() -> None:
    params = proposal("f01000", method=WITHDRAW, params=withdrawal(6))
    for _ in range(6):
        params = proposal("f02001", method=2, params=params)
    message = row(to="f02000", method=2, params=params)

    assert fits(ApprovalRule(actor="miner", method=WITHDRAW), message, receiver="multisig")
    assert fits(ApprovalRule(above=5), message, receiver="multisig")


@pytest.mark.parametrize("kind", ["window_post", "recover", "precommit", "commit", "snap_up"])
def test_automatic_messages_wait_only_where_their_method_is_named(kind: str) -> None:
    message = row(method=28, value=100, kind=kind)

    assert not fits(ApprovalRule(above=5), message, receiver="miner")
    assert not fits(ApprovalRule(actor="miner"), message, receiver="miner")
    assert fits(ApprovalRule(actor="miner", method=28), message, receiver="miner")


@pytest.mark.parametrize("method", [28, 5])
def test_programs_that_seal_elsewhere_are_as_automatic(db: None, method: int) -> None:
    mine = tenant()
    miner_grant(tenant=mine, actor_id=1000)
    message = row(method=method, value=100, tenant_id=mine.pk)

    assert not fits(ApprovalRule(above=5), message, receiver="miner")
    assert fits(ApprovalRule(actor="miner"), row(method=9), receiver="miner")


def test_no_proof_waits_because_no_node_says_what_a_miner_is(db: None) -> None:
    mine = tenant()
    miner_grant(tenant=mine, actor_id=1000)

    for rule in (ApprovalRule(actor="multisig"), ApprovalRule(actor="miner")):
        assert not fits(rule, row(method=5, tenant_id=mine.pk))
        assert fits(rule, row(to="f01001", method=5, tenant_id=mine.pk))  # nobody knows that it is a miner
        assert fits(rule, row(method=9, tenant_id=mine.pk))


def test_what_sealing_pays_to_a_miner_of_others_is_a_payment(db: None) -> None:
    """Whoever has the pool's address as a control address of a miner could have it paid for that one."""
    mine = tenant()
    miner_grant(tenant=tenant("bob"), actor_id=1001)

    for to in ("f01001", "f01002", "f2aucqkbifaucqkbifaucqkbifaucqkbifd23kqqq"):
        for method in (5, 28, 36):
            paid = row(to=to, method=method, value=6, tenant_id=mine.pk)
            assert fits(ApprovalRule(above=5), paid, receiver="miner")
            assert not fits(ApprovalRule(above=6), paid, receiver="miner")
            nothing = row(to=to, method=method, tenant_id=mine.pk)
            assert not fits(ApprovalRule(actor="miner"), nothing, receiver="miner")
    pools = row(to="f01001", method=28, value=6, tenant_id=None)
    assert not fits(ApprovalRule(above=5), pools, receiver="miner")


def test_a_transfer_of_nothing_to_oneself_never_waits() -> None:
    assert not fits(ApprovalRule(method=0), row(to=KEY))
    assert fits(ApprovalRule(method=0), row(to=KEY, value=1))
    assert fits(ApprovalRule(method=0), row(to=OTHER))


def test_a_transfer_by_another_method_waits_like_a_transfer(db: None) -> None:
    rule, eth = ApprovalRule(method=0, above=5), "f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa"

    assert fits(rule, row(to=eth, method=METHOD_INVOKE_EVM, value=6)), "Ethereum accounts know no other"
    assert fits(rule, row(to="f01000", method=METHOD_INVOKE_EVM, value=6), receiver="evm")
    assert fits(rule, row(to=OTHER, method=METHOD_INVOKE_EVM, value=6, params=b"\x41\x01"))
    assert fits(rule, row(to="f01000", method=1 << 24, value=6), receiver="account")
    inner = proposal(eth, method=METHOD_INVOKE_EVM, value=6)
    assert fits(rule, row(to="f02000", method=2, params=inner), receiver="multisig")

    assert not fits(rule, row(to=eth, method=METHOD_INVOKE_EVM, value=5))
    assert fits(rule, row(to=eth, method=METHOD_INVOKE_EVM, value=6, params=b"\x41\x01")), "it may keep it"
    assert fits(rule, row(to="f01000", method=METHOD_INVOKE_EVM, value=6), receiver="multisig")


def who(name: str) -> Principal:
    return principal_of(User.objects.get(username=name))


@pytest.fixture
def people(db: None) -> None:
    person("ann", role=Role.TENANT_ADMIN)
    person("amy", role=Role.TENANT_ADMIN)
    person("bea")
    person("eve", of="bob", role=Role.TENANT_ADMIN)
    operator_person("olga")


def rule_of_alice(**how: Any) -> ApprovalRule:
    values = {"principal": who("ann"), "tenant": tenant("alice"), "method": 16, "now": START, **how}
    return approval_rule_add(**values)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("name", ["amy", "olga"])
def test_a_rule_goes_only_when_two_people_want_it(name: str) -> None:
    rule = rule_of_alice()

    with pytest.raises(Conflict):
        approval_rule_remove(principal=who(name), rule=rule)
    approval_rule_removal_request(principal=who("ann"), rule=rule, now=START)
    with pytest.raises(SecondPersonRequired):
        approval_rule_remove(principal=who("ann"), rule=rule)
    assert ApprovalRule.objects.exists()

    approval_rule_remove(principal=who(name), rule=rule)
    assert not ApprovalRule.objects.exists()
    actions = list(AuditEntry.objects.filter(target=str(rule.uuid)).values_list("action", "actor"))
    assert actions == [
        ("approval.rule.add", "ann"),
        ("approval.rule.removal-request", "ann"),
        ("approval.rule.remove", name),
    ]


@pytest.mark.usefixtures("people")
def test_a_removal_that_is_turned_down_must_be_asked_for_again() -> None:
    rule = rule_of_alice()
    approval_rule_removal_request(principal=who("ann"), rule=rule, now=START)
    with pytest.raises(Conflict):
        approval_rule_removal_request(principal=who("amy"), rule=rule, now=START)

    approval_rule_removal_cancel(principal=who("amy"), rule=rule)

    with pytest.raises(Conflict):
        approval_rule_remove(principal=who("amy"), rule=rule)


@pytest.mark.usefixtures("people")
def test_programs_add_rules_but_remove_none() -> None:
    program = principal_by_token(token("admin", by=who("ann")), now=START)
    rule = rule_of_alice(principal=program)

    for by in (program, SYSTEM):
        with pytest.raises(PersonRequired):
            approval_rule_removal_request(principal=by, rule=rule, now=START)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(("name", "of"), [("bea", "alice"), ("eve", "alice"), ("ann", None)])
def test_rules_are_set_by_the_tenants_admins_and_the_operator(name: str, of: str | None) -> None:
    with pytest.raises(NotAllowed):
        rule_of_alice(principal=who(name), tenant=None if of is None else tenant(of))


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("name", ["bea", "eve"])
def test_others_neither_ask_for_a_rules_removal_nor_agree(name: str) -> None:
    rule = rule_of_alice()
    with pytest.raises(NotAllowed):
        approval_rule_removal_request(principal=who(name), rule=rule, now=START)
    approval_rule_removal_request(principal=who("ann"), rule=rule, now=START)

    with pytest.raises(NotAllowed):
        approval_rule_remove(principal=who(name), rule=rule)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"method": None}, "actor"),
        ({"actor": "bank"}, "actor"),
        ({"method": -1}, "method"),
        ({"method": 1 << 63}, "method"),
        ({"above": -1}, "above"),
        ({"above": 3 * 10**27}, "above"),
    ],
)
def test_a_rule_that_nothing_could_fit_is_refused(values: dict[str, Any], field: str) -> None:
    with pytest.raises(BadMessage) as refused:
        rule_of_alice(**values)
    assert refused.value.field == field


@pytest.mark.usefixtures("people")
def test_the_same_rule_twice_is_refused() -> None:
    rule_of_alice()
    with pytest.raises(Conflict):
        rule_of_alice()


@pytest.mark.usefixtures("people")
def test_a_limited_token_sets_no_rule() -> None:
    with pytest.raises(NotAllowed):
        rule_of_alice(principal=principal(perm="admin", miners=(1000,)))
