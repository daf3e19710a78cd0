"""The limits that decide on a message: each with its level and value, and the one that binds or blocks."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.messages.errors import BadMessage
from apps.messages.models import Receiver, Sender
from apps.messages.rules.push_items import Gas, SendSpec
from apps.messages.selectors.diagnosis import message_diagnose
from apps.messages.selectors.message_limits import Limit, message_limits
from apps.messages.services.fee_rules import shared_rules_set
from apps.messages.services.guards import guard_set
from apps.messages.services.method_rules import actor_rules_set, method_rule_set, receiver_read
from apps.messages.services.replace import fee_limits_set
from apps.messages.services.senders import sender_set
from apps.messages.states import MessageState, Wait
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.cids import cid_of_cbor
from tests.fake_node import CODES
from tests.messaging import FIL, RECEIVER, Pool
from tests.people import principal, tenant


def limits(pool: Pool, id: str) -> dict[tuple[str, str], Limit]:
    row = pool.row(id)
    reason = message_diagnose(row, head=pool.head).reason
    return {(one.level, one.setting): one for one in message_limits(row, reason=reason, head=pool.head)}


def old_sender_cap(address: str, cap: int) -> None:
    """A cap from before the minimum was checked."""
    Sender.objects.filter(address=address).update(gas_fee_cap=cap)


def test_sender_cap_below_base_fee_is_named_as_the_cause(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    old_sender_cap(address, 10)
    pool.choose()

    row, found = pool.row("one"), limits(pool, "one")

    assert row.wait == Wait.FEE_LIMIT
    assert row.error == "Sender's fee cap 10 aFIL < base fee 100 aFIL. Change it in Sender → Fees."
    assert found["sender", "gas_fee_cap"].blocks
    assert not found["pool", "max_fee"].blocks
    assert found["pool", "max_fee"].value == FIL * 7 // 100


def test_without_a_max_fee_the_nodes_own_is_named(pool: Pool) -> None:
    address = pool.address()
    shared_rules_set(principal=SYSTEM, fees={"max_fee": 0})
    pool.node.max_fee = 12_500_000
    pool.push("one", address)
    pool.push("proof", address, spec=SendSpec(max_fee=FIL))

    pool.choose()

    row = pool.row("one")
    assert (row.wait, row.error) == (
        Wait.FEE_LIMIT,
        "The node's own max fee 0.0000000000125 FIL buys a fee cap of 10 aFIL for 1250000 gas"
        " < base fee 100 aFIL. Set the sender's own in Sender → Fees;"
        " the operator sets the pool's in Gas → Fee rules.",
    )
    assert not any(one.blocks for one in limits(pool, "one").values()), "none of ours"
    assert pool.row("proof").state == MessageState.FILLED


def test_max_fee_that_buys_too_little_names_its_level(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    sender_set(principal=SYSTEM, address=address, fees={"max_fee": 12_500_000})
    pool.choose()

    found = limits(pool, "one")

    assert pool.row("one").error.startswith("Sender's max fee 0.0000000000125 FIL buys a fee cap of 10 aFIL")
    assert found["sender", "max_fee"].blocks
    assert found["sender", "max_fee"].binds
    assert not found["pool", "max_fee"].binds


def test_guard_cap_is_told_from_the_rules(pool: Pool) -> None:
    pool.push("one", pool.address())
    guard = guard_set(principal=SYSTEM, tenant=tenant("alice"), max_fee=12_500_000)
    pool.choose()

    found = limits(pool, "one")

    assert pool.row("one").wait == Wait.GAS_CAP
    assert found["tenant", "max_fee"].blocks
    assert found["tenant", "max_fee"].target == str(guard.uuid)
    assert not found["pool", "max_fee"].binds


def test_a_rule_of_a_method_outlives_a_network_upgrade(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    address, old = pool.address(), CODES["storageminer"]
    pool.node.kinds[RECEIVER], pool.node.balances[RECEIVER] = "storageminer", 0
    shared_rules_set(principal=SYSTEM, fees={"gas_over_estimation": 1.1})
    Receiver.objects.create(address=RECEIVER, kind="miner", code=old)
    fees = {"gas_over_estimation": 1.5, "max_fee": FIL}
    rule = method_rule_set(principal=SYSTEM, code=old, method=21, fees=fees)
    new = str(cid_of_cbor(b"fil/19/storageminer"))
    monkeypatch.setitem(CODES, "storageminer", new)

    pool.push("one", address, to=RECEIVER, method=21)
    pool.choose()

    assert pool.row("one").gas_limit == 1_500_000
    assert limits(pool, "one")["method", "max_fee"].binds
    assert receiver_read(RECEIVER, client=pool.client) == ("miner", new)
    again = method_rule_set(principal=SYSTEM, code=new, method=21, fees={"max_fee": 2 * FIL})
    assert (again.pk, again.code) == (rule.pk, new), "one rule for a kind's method"


def test_every_level_has_its_row(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address, method=7, spec=SendSpec(max_fee=5 * 10**15))
    sender_set(principal=SYSTEM, address=address, fees={"max_fee": 6 * 10**15, "gas_fee_cap": 10**9})
    Receiver.objects.create(address=RECEIVER, kind="miner", code=CODES["storageminer"])
    fees = {"max_fee": 4 * 10**15}
    actor_rules_set(principal=SYSTEM, id=uuid.uuid4(), code=CODES["storageminer"], method=7, fees=fees)
    guard_set(principal=SYSTEM, daily_budget=FIL, max_fee=FIL)
    shared_rules_set(principal=SYSTEM, fees={"base_fee": 500})

    found = limits(pool, "one")

    assert {place: one.value for place, one in found.items()} == {
        ("message", "max_fee"): 5 * 10**15,
        ("sender", "max_fee"): 6 * 10**15,
        ("method", "max_fee"): 4 * 10**15,
        ("pool", "max_fee"): FIL * 7 // 100,
        ("guard", "max_fee"): FIL,
        ("sender", "gas_fee_cap"): 10**9,
        ("pool", "base_fee"): 500,
        ("pool", "quota"): 20,
        ("guard", "daily_budget"): FIL,
    }
    assert {place for place, one in found.items() if one.binds} == {
        ("message", "max_fee"),
        ("sender", "gas_fee_cap"),
        ("pool", "base_fee"),
        ("pool", "quota"),
        ("guard", "daily_budget"),
    }


def test_quota_of_messages_in_flight_is_a_limit_of_sender_and_pool(pool: Pool) -> None:
    address = pool.address()
    for name in ("one", "two"):
        pool.push(name, address)
    sender_set(principal=SYSTEM, address=address, quota=1)
    pool.choose()

    found = limits(pool, "two")

    sender, shared = found["sender", "quota"], found["pool", "quota"]
    assert pool.row("two").wait in ("", Wait.QUOTA)
    assert (sender.value, sender.target, sender.binds, sender.blocks) == (1, address, True, True)
    assert (shared.value, shared.binds, shared.blocks) == (20, False, False)
    assert not limits(pool, "one")["sender", "quota"].blocks


def test_closed_gate_blocks(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    sender_set(principal=SYSTEM, address=address, fees={"base_fee": 50})
    pool.choose()

    assert limits(pool, "one")["sender", "base_fee"].blocks


def test_used_up_budget_blocks(pool: Pool) -> None:
    pool.push("one", pool.address())
    guard_set(principal=SYSTEM, daily_budget=1)
    pool.choose()

    assert limits(pool, "one")["guard", "daily_budget"].blocks


@pytest.mark.parametrize("set_it", [sender_set, shared_rules_set])
def test_fee_cap_under_the_minimum_is_refused_where_it_is_set(pool: Pool, set_it: Any) -> None:
    pool.push("one", pool.address())
    where = {"address": pool.row("one").from_addr} if set_it is sender_set else {}

    with pytest.raises(BadMessage, match="at least 100 attoFIL") as refusal:
        set_it(principal=SYSTEM, fees={"gas_fee_cap": 99}, **where)

    assert refusal.value.field == "gas_fee_cap"
    set_it(principal=SYSTEM, fees={"gas_fee_cap": 0}, **where)
    set_it(principal=SYSTEM, fees={"gas_fee_cap": 100}, **where)


def test_pushed_fee_cap_under_the_minimum_is_refused(pool: Pool) -> None:
    with pytest.raises(BadMessage, match="at least 100 attoFIL"):
        pool.push("one", pool.address(), gas=Gas(fee_cap=99))


def test_raised_fee_lets_an_unsigned_message_go(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    old_sender_cap(address, 10)
    pool.choose()

    limits = {"max_fee": FIL, "gas_fee_cap": 5_000_000}
    fee_limits_set(message=pool.row("one"), **limits, now=pool.now, by=principal())
    pool.choose()

    row, line = pool.row("one"), AuditEntry.objects.get(action="message.replace")
    assert (line.before, line.after) == (
        {"max_fee": "0 FIL", "gas_fee_cap": "0 attoFIL per gas"},
        {"max_fee": "1 FIL", "gas_fee_cap": "5000000 attoFIL per gas"},
    )
    assert (row.state, row.gas_fee_cap) == (MessageState.FILLED, 5_000_000)
    assert row.events.filter(event="fee raised").exists()


def test_fee_of_a_signed_message_is_not_set(pool: Pool) -> None:
    pool.push("one", pool.address())
    pool.choose()
    before = pool.row("one").gas_fee_cap

    with pytest.raises(BadMessage):
        fee_limits_set(message=pool.row("one"), max_fee=FIL, gas_fee_cap=5_000_000, now=pool.now)

    assert pool.row("one").gas_fee_cap == before


def test_unsigned_message_under_a_fee_limit_offers_to_raise_it(pool: Pool) -> None:
    pool.push("one", pool.address(), spec=SendSpec(max_fee=1))
    pool.choose()

    assert message_diagnose(pool.row("one"), head=pool.head).actions[0] == "raise-fee"


def test_guards_of_another_type_are_not_shown_nor_holds_of_proofs_in_force(pool: Pool) -> None:
    address = pool.address()
    guard_set(principal=SYSTEM, actor="miner", max_fee=1, hold_base_fee=1)
    guard_set(principal=SYSTEM, hold_base_fee=FIL)
    key = "f1d2xrzcslx7xlbbylc5c3d5lvandqw4iwl6epxba"
    pool.push("transfer", address, to=key)
    pool.push("creation", address, to="f04", method=9)
    pool.push("proof", address, kind="window_post")

    assert set(limits(pool, "transfer")) == set(limits(pool, "creation"))
    assert ("guard", "max_fee") not in limits(pool, "transfer")
    assert limits(pool, "transfer")["guard", "hold_base_fee"].binds
    assert limits(pool, "transfer")["guard", "hold_base_fee"].value == FIL
    assert not limits(pool, "proof")["guard", "hold_base_fee"].binds
