"""The gas guard: what it caps, holds and budgets, whom it spares, and who may set it."""

from __future__ import annotations

import pytest

from apps.core.errors import DomainError, NotAllowed
from apps.messages.models import GasGuard, Message
from apps.messages.rules.push_items import Gas, SendSpec
from apps.messages.selectors.diagnosis import message_diagnose
from apps.messages.selectors.gas_guards import guards_spent
from apps.messages.services import candidates
from apps.messages.services.estimate_rounds import BATCHES_MAX
from apps.messages.services.guards import auto_bump_set, guard_remove, guard_set
from apps.messages.services.selection_results import POSTPONED_EPOCHS
from apps.messages.services.senders import sender_set
from apps.messages.states import MessageState, Wait
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.amounts import fil_format
from tests.messaging import Pool
from tests.people import principal, tenant

LIMIT = 2_000_000
FEES = Gas(limit=LIMIT, fee_cap=10_000, premium=1_000)
COST = LIMIT * (100 + 1_000)
"""Of such a message at base fee 100."""


def guard(**values: int | str | object) -> GasGuard:
    return guard_set(principal=SYSTEM, **values)  # type: ignore[arg-type]


def spent_of(row: GasGuard, pool: Pool) -> int:
    return guards_spent([row], base_fee=100, now=pool.now)[row.pk]


def waits(pool: Pool, id: str) -> tuple[str, str]:
    row = pool.row(id)
    return row.state, row.wait


def test_a_cap_holds_against_the_messages_own_wish(pool: Pool) -> None:
    address = pool.address()
    guard(max_fee=LIMIT * 9_999)
    pool.push("dear", address, gas=FEES)
    pool.push("cheap", address, gas=Gas(limit=LIMIT, fee_cap=9_999, premium=1))

    pool.choose()

    assert pool.row("dear").gas_fee_cap == 9_999
    assert pool.row("cheap").gas_fee_cap == 9_999


def test_an_estimate_is_kept_under_the_cap(pool: Pool) -> None:
    address = pool.address()
    guard(max_fee=10**12)
    pool.push("one", address, spec=SendSpec(max_fee=10**15))

    pool.choose()

    row = pool.row("one")
    assert row.state == MessageState.FILLED
    assert row.gas_limit * row.gas_fee_cap <= 10**12


def test_a_cap_that_buys_nothing_is_named(pool: Pool) -> None:
    address = pool.address()
    guard(max_fee=1_000)
    pool.push("one", address)

    pool.choose()

    assert waits(pool, "one") == (MessageState.UNFILLED, Wait.GAS_CAP)
    found = message_diagnose(pool.row("one"), head=pool.head)
    assert found.reason == Wait.GAS_CAP
    assert "fee-rules" in found.actions


def test_a_guard_speaks_only_about_what_it_names(pool: Pool) -> None:
    address, other = pool.address(), pool.address(of="bob")
    guard(max_fee=1, tenant=tenant("alice"), method=7)
    guard(max_fee=1, kind="commit")
    pool.push("transfer", address)
    pool.push("seven", address, method=7)
    pool.push("commit", address, kind="commit")
    pool.push("of-bob", other, by=principal("bob"), method=7)

    pool.choose()

    chosen = set(Message.objects.filter(state=MessageState.FILLED).values_list("push_id", flat=True))
    assert chosen == {"transfer", "of-bob"}


def test_a_guard_of_miners_leaves_a_transfer_to_a_key_alone(pool: Pool) -> None:
    address = pool.address()
    found = guard(actor="miner", hold_base_fee=1, daily_budget=10**9)
    pool.push("one", address, to="f1d2xrzcslx7xlbbylc5c3d5lvandqw4iwl6epxba", gas=FEES)

    pool.choose()

    assert pool.row("one").state == MessageState.FILLED
    assert spent_of(found, pool) == 0


def test_a_held_message_goes_when_the_base_fee_falls(pool: Pool) -> None:
    address = pool.address()
    guard(hold_base_fee=90)
    pool.push("one", address)

    pool.choose()
    assert waits(pool, "one") == (MessageState.UNFILLED, Wait.HELD)
    assert message_diagnose(pool.row("one"), head=pool.head).evidence["base_fee"] == "100"

    pool.node.base_fee = 90
    pool.step()
    assert pool.row("one").state == MessageState.FILLED


def test_a_held_message_goes_at_its_latest_epoch(pool: Pool) -> None:
    address = pool.address()
    guard(hold_base_fee=90, hold_epochs=2)
    pool.push("ruled", address)
    pool.push("wished", address, spec=SendSpec(hold_base_fee=50, hold_until=pool.head.height + 3))

    pool.step()
    assert {waits(pool, one)[1] for one in ("ruled", "wished")} == {Wait.HELD}
    pool.step()
    assert pool.row("ruled").state == MessageState.FILLED
    assert waits(pool, "wished") == (MessageState.UNFILLED, Wait.HELD)
    pool.step()
    assert pool.row("wished").state == MessageState.FILLED


def test_each_hold_lasts_until_its_own_end(pool: Pool) -> None:
    address = pool.address()
    guard(hold_base_fee=50, hold_epochs=1)
    guard(hold_base_fee=90)
    pool.push("one", address)
    pool.choose()
    found = message_diagnose(pool.row("one"), head=pool.head).evidence
    assert (found["held_above"], found["held_until"]) == ("50", pool.head.height + 1)

    pool.step()
    pool.step()

    assert waits(pool, "one") == (MessageState.UNFILLED, Wait.HELD), "the guard without an end still holds"
    found = message_diagnose(pool.row("one"), head=pool.head).evidence
    assert (found["held_above"], found["held_until"]) == ("90", None)


def test_a_used_up_day_is_named_with_its_figures(pool: Pool) -> None:
    address = pool.address()
    guard(daily_budget=COST)
    pool.push("one", address, gas=FEES)
    pool.push("two", address, gas=FEES)
    pool.choose()

    found = message_diagnose(pool.row("two"), head=pool.head)

    assert found.reason == Wait.DAILY_BUDGET
    assert found.evidence["budget"] == found.evidence["spent_today"] == fil_format(COST)


def test_proofs_are_spared_unless_the_guard_names_them(pool: Pool) -> None:
    address = pool.address()
    guard(hold_base_fee=50)
    guard(daily_budget=1)
    pool.push("proof", address, kind="window_post")
    pool.push("other", address)

    pool.choose()
    assert pool.row("proof").state == MessageState.FILLED
    assert waits(pool, "other") == (MessageState.UNFILLED, Wait.HELD)

    guard(hold_base_fee=50, kind="window_post")
    pool.push("proof-2", address, kind="window_post")
    pool.choose()
    assert waits(pool, "proof-2") == (MessageState.UNFILLED, Wait.HELD)


def test_a_day_costs_at_most_its_budget(pool: Pool) -> None:
    address, other = pool.address(), pool.address()
    found = guard(daily_budget=3 * COST + 1)
    for number in range(3):
        pool.push(f"a{number}", address, gas=FEES)
        pool.push(f"b{number}", other, gas=FEES)

    pool.choose()

    assert Message.objects.filter(state=MessageState.FILLED).count() == 3
    assert set(Message.objects.filter(state=MessageState.UNFILLED).values_list("wait", flat=True)) == {
        Wait.DAILY_BUDGET
    }
    assert spent_of(found, pool) == 3 * COST

    for _ in range(3):
        pool.step()
    assert Message.objects.filter(state=MessageState.LANDED).count() >= 3
    assert spent_of(found, pool) <= found.daily_budget


def test_a_raised_budget_lets_the_rest_go(pool: Pool) -> None:
    address = pool.address()
    found = guard(daily_budget=COST)
    pool.push("one", address, gas=FEES)
    pool.push("two", address, gas=FEES)
    pool.choose()
    assert waits(pool, "two") == (MessageState.UNFILLED, Wait.DAILY_BUDGET)

    guard_set(principal=SYSTEM, guard=found, daily_budget=5 * COST)
    pool.choose()

    assert pool.row("two").state == MessageState.FILLED


def test_two_rounds_at_once_do_not_spend_a_day_twice(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another sender's round ends between this one's look at the budget and its storing."""
    address, other = pool.address(), pool.address()
    guard(daily_budget=COST)
    pool.push("mine", address, gas=FEES)
    sign = pool.keyring.sign_all
    asked: list[bool] = []

    def meanwhile(requests: object, *, timeout_s: float = 10) -> object:
        if not asked:
            asked.append(True)
            pool.push("theirs", other, gas=FEES)
            Message.objects.filter(push_id="theirs").update(
                state="FILLED", nonce=0, gas_limit=LIMIT, gas_fee_cap=10_000, gas_premium=1_000
            )
        return sign(requests, timeout_s=timeout_s)  # type: ignore[arg-type]

    monkeypatch.setattr("apps.wallets.services.sign.wallet_sign_all", meanwhile)
    pool.choose()

    assert pool.row("mine").state == MessageState.UNFILLED


def test_a_tenant_guards_only_itself_and_every_change_is_audited(db: None) -> None:
    alice = principal("alice")
    found = guard_set(principal=alice, tenant=tenant("alice"), max_fee=5)
    guard_set(principal=alice, guard=found, max_fee=6)
    guard_remove(principal=alice, guard=found)

    assert list(AuditEntry.objects.filter(action__startswith="gas.").values_list("action", flat=True)) == [
        "gas.guard.set",
        "gas.guard.set",
        "gas.guard.remove",
    ]
    second = AuditEntry.objects.filter(action="gas.guard.set").last()
    assert second is not None
    assert second.before is not None
    assert second.after is not None
    assert (second.before["max_fee"], second.after["max_fee"]) == (
        "0.000000000000000005 FIL",
        "0.000000000000000006 FIL",
    )
    for owner in (None, tenant("bob")):
        with pytest.raises(NotAllowed):
            guard_set(principal=alice, tenant=owner, max_fee=5)
    with pytest.raises(NotAllowed):
        auto_bump_set(principal=alice, tenant=tenant("bob"), is_on=True, within_epochs=5, every_epochs=1)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "max_fee"),
        ({"max_fee": -1}, "max_fee"),
        ({"daily_budget": 10**30}, "daily_budget"),
        ({"hold_base_fee": -1}, "hold_base_fee"),
        ({"max_fee": 1, "hold_epochs": 3}, "hold_epochs"),
        ({"hold_base_fee": 1, "hold_epochs": -3}, "hold_epochs"),
        ({"max_fee": 1, "method": -1}, "method"),
        ({"max_fee": 1, "kind": "k" * 40}, "kind"),
    ],
)
def test_a_senseless_guard_is_refused_at_its_field(
    db: None, values: dict[str, int | str], field: str
) -> None:
    with pytest.raises(DomainError) as refusal:
        guard(**values)
    assert refusal.value.field == field
    assert not GasGuard.objects.exists()


def test_held_messages_keep_no_others_from_being_chosen(pool: Pool) -> None:
    address = pool.address()
    guard(kind="precommit", hold_base_fee=50)
    for number in range(60):
        pool.push(f"held {number}", address, kind="precommit")
    pool.push("commit", address, kind="commit", params=b"\x80")
    pool.push("plain", address)
    sender_set(principal=SYSTEM, address=address, quota=5)

    pool.choose()

    assert [pool.row(name).nonce for name in ("commit", "plain")] == [0, 1]
    assert bytes(pool.row("commit").params) == b"\x80"
    assert Message.objects.filter(wait=Wait.HELD).count() == 60


def test_as_many_as_there_are_places_are_chosen_from_behind_held_ones(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "EXTRA_CANDIDATES", 1)
    monkeypatch.setattr(candidates, "SCAN_MAX", 14)
    address = pool.address()
    pool.push("first", address)
    sender_set(principal=SYSTEM, address=address, quota=3)
    guard(kind="precommit", hold_base_fee=50)
    for number in range(10):
        pool.push(f"held {number}", address, kind="precommit")
        pool.push(f"plain {number}", address, value=number)

    pool.choose()

    assert pool.row("first").nonce == 0
    assert [pool.row(f"plain {number}").nonce for number in range(4)] == [1, 2, None, None]


@pytest.mark.parametrize("is_single", [False, True])
def test_messages_over_what_is_left_of_a_day_stop_none_behind_them(pool: Pool, is_single: bool) -> None:
    if is_single:
        pool.node.lacks.add("GasBatchEstimateMessageGas")
        pool.client.gas_batch_estimate([], nonce=0, key=pool.head.key)  # now it is known
    address = pool.address()
    guard(method=9, daily_budget=COST // 2)
    for number in range(20):
        pool.push(f"over {number}", address, method=9, gas=FEES)
    pool.push("free", address, method=7)

    pool.choose()

    assert pool.row("free").nonce == 0
    assert Message.objects.filter(wait=Wait.DAILY_BUDGET).count() == 20
    assert pool.node.calls.count("GasEstimateMessageGas") == (21 if is_single else 0)


def test_hundreds_over_what_is_left_of_a_day_are_passed_in_turns(pool: Pool) -> None:
    pool.node.lacks.add("GasBatchEstimateMessageGas")
    pool.client.gas_batch_estimate([], nonce=0, key=pool.head.key)  # now it is known
    address = pool.address()
    guard(method=9, daily_budget=COST // 2)
    for number in range(60):
        pool.push(f"over {number}", address, method=9, gas=FEES)
    pool.push("free", address, method=7)
    sender_set(principal=SYSTEM, address=address, quota=100)

    pool.choose()

    assert pool.node.calls.count("GasEstimateMessageGas") == 10 * BATCHES_MAX
    later = Message.objects.filter(wait=Wait.DAILY_BUDGET, retry_height=pool.head.height + POSTPONED_EPOCHS)
    assert later.count() == 10 * BATCHES_MAX
    assert not Message.objects.filter(attempts__gt=0)
    pool.step()
    assert pool.row("free").nonce == 0


@pytest.mark.parametrize("is_single", [False, True])
def test_messages_over_a_budget_that_fill_a_selection_are_postponed(pool: Pool, is_single: bool) -> None:
    if is_single:
        pool.node.lacks.add("GasBatchEstimateMessageGas")
        pool.client.gas_batch_estimate([], nonce=0, key=pool.head.key)  # now it is known
    address = pool.address()
    guard(method=9, daily_budget=COST // 2)
    for number in range(40):  # the 20 free places, and the 20 estimated beyond them
        pool.push(f"over {number}", address, method=9, gas=FEES)
    pool.push("free", address, method=7)

    pool.choose()
    pool.step()

    assert pool.row("free").nonce == 0
    assert not Message.objects.filter(attempts__gt=0)


def test_a_raised_budget_lets_postponed_messages_go_on_the_next_head(pool: Pool) -> None:
    address = pool.address()
    found = guard(daily_budget=COST // 2)
    for number in range(40):
        pool.push(f"over {number}", address, gas=FEES)
    pool.choose()
    assert Message.objects.filter(retry_height__gt=pool.head.height + 1).count() == 40

    guard_set(principal=SYSTEM, guard=found, daily_budget=100 * COST)
    pool.choose()

    assert Message.objects.filter(state=MessageState.FILLED).count() == 20
