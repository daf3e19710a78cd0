"""What failed rests, and is tried again as soon as what it lacked is there or somebody asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.errors import BadMessage
from apps.messages.rules.push_items import SendSpec
from apps.messages.selectors.diagnosis import message_diagnose
from apps.messages.selectors.messages import message_events
from apps.messages.services import estimate_rounds
from apps.messages.services.estimate import messages_estimate
from apps.messages.services.fee_rules import shared_rules_set
from apps.messages.services.guards import guard_remove, guard_set
from apps.messages.services.replace import fee_limits_set
from apps.messages.services.retry import funded_messages_retry, message_retry_now
from apps.messages.services.senders import sender_set
from apps.messages.states import MessageState, Wait
from apps.users.rules.principals import SYSTEM
from apps.wallets.models import Wallet
from tests import factories
from tests.messaging import FIL, Pool


def rest_long(pool: Pool, id: str) -> int:
    """Let a message fail again and again; gives the epoch of its next try."""
    for _ in range(10):
        pool.step()
    row = pool.row(id)
    assert row.state == MessageState.UNFILLED
    assert row.retry_height > pool.head.height + 1
    return row.retry_height


def test_a_funded_sender_is_tried_on_the_first_head_that_sees_the_money(pool: Pool) -> None:
    address = pool.address(fil=1)
    factories.wallet(address, balance=1 * FIL)
    pool.push("one", address, value=5 * FIL)
    assert pool.row("one").wait == Wait.FUNDS, "it is known at once"
    rest_long(pool, "one")
    assert funded_messages_retry(head=pool.head) == 0

    pool.node.balances[address] = 10 * FIL
    Wallet.objects.filter(address=address).update(balance=10 * FIL)
    assert funded_messages_retry(head=pool.head) == 1
    pool.choose()

    assert pool.row("one").state == MessageState.FILLED


def test_another_senders_money_wakes_nobody(pool: Pool) -> None:
    poor, rich = pool.address(fil=1), pool.address(fil=1)
    for address in (poor, rich):
        factories.wallet(address, balance=1 * FIL)
        pool.push(address, address, value=5 * FIL)
    rest_long(pool, poor)

    Wallet.objects.filter(address=rich).update(balance=10 * FIL)

    assert funded_messages_retry(head=pool.head) == 1
    assert pool.row(poor).retry_height > pool.head.height
    assert pool.row(rich).retry_height == 0


def capped(pool: Pool) -> str:
    address = pool.address()
    pool.push("one", address, spec=SendSpec(max_fee=1_000))
    pool.choose()
    assert pool.row("one").wait == Wait.FEE_LIMIT
    rest_long(pool, "one")
    return address


@pytest.mark.parametrize("where", ["sender", "pool"])
def test_changed_fee_rules_let_it_be_tried_on_the_next_head(pool: Pool, where: str) -> None:
    address = capped(pool)

    if where == "sender":
        sender_set(principal=SYSTEM, address=address, fees={"max_fee": FIL})
    else:
        shared_rules_set(principal=SYSTEM, fees={"max_fee": FIL})

    assert pool.row("one").retry_height == 0


def test_a_guard_that_is_taken_away_lets_it_go(pool: Pool) -> None:
    guard = guard_set(principal=SYSTEM, max_fee=1_000)
    pool.push("one", pool.address())
    pool.choose()
    assert pool.row("one").wait == Wait.GAS_CAP
    rest_long(pool, "one")

    guard_remove(principal=SYSTEM, guard=guard)
    pool.choose()

    assert pool.row("one").state == MessageState.FILLED


def failing(pool: Pool) -> None:
    pool.node.fails["7"] = "exit 18"
    pool.push("one", pool.address(), method=7)
    pool.choose()


def test_somebody_may_have_it_tried_at_once(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("apps.messages.services.retry.selection_enqueue", asked.append)
    failing(pool)
    next_try = rest_long(pool, "one")
    found = message_diagnose(pool.row("one"), head=pool.head)
    assert (found.reason, found.next_epoch) == (Wait.ESTIMATE, next_try)
    assert "retry-now" in found.actions

    pool.node.fails.clear()
    row = message_retry_now(message=pool.row("one"), now=pool.now)
    pool.choose()

    assert row.retry_height == 0
    events = [event.event for event in message_events(row)]
    assert [event for event in events if event != "attempt failed"] == ["tried by hand"]
    assert pool.row("one").state == MessageState.FILLED


def test_what_does_not_wait_is_not_tried(pool: Pool) -> None:
    pool.push("one", pool.address())
    pool.choose()

    with pytest.raises(BadMessage, match=r"only before a message is signed: .* in flight") as refused:
        message_retry_now(message=pool.row("one"), now=pool.now)
    assert refused.value.wire_reason == "need UnFillMsg got FillMsg"


def test_money_that_another_choice_saw_first_wakes_what_lacked_it(pool: Pool) -> None:
    address = pool.address(fil=1)
    factories.wallet(address, balance=1 * FIL)
    pool.push("one", address, value=5 * FIL)
    rest_long(pool, "one")
    pool.node.balances[address] = 10 * FIL
    pool.push("two", address)

    pool.choose()
    Wallet.objects.filter(address=address).update(balance=10 * FIL)
    assert funded_messages_retry(head=pool.head) == 0, "the sender's row has the new balance already"

    assert {pool.row(id).state for id in ("one", "two")} == {MessageState.FILLED}


def test_fee_that_was_raised_during_a_choice_is_tried_on_the_next_head(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    capped(pool)
    while pool.head.height < pool.row("one").retry_height:
        pool.node.mine()
        pool.follow()
    real = messages_estimate

    def meanwhile(*how: Any, **data: Any) -> Any:
        found = real(*how, **data)
        fee_limits_set(message=pool.row("one"), max_fee=FIL, gas_fee_cap=0, now=pool.now)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(estimate_rounds, "messages_estimate", meanwhile)
        pool.choose()
    assert pool.row("one").state == MessageState.UNFILLED, "it went by the old limit"
    pool.choose()

    assert pool.row("one").state == MessageState.FILLED
