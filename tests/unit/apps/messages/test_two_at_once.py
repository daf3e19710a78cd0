"""Two workers or people at one message or sender at the same moment, each on its own connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from apps.core.errors import NotFound
from apps.messages.errors import BadMessage
from apps.messages.models import ExtraNode, GasGuard, Message
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.bulk_transitions import messages_advance, waits_record
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.extra_nodes import extra_node_delete, extra_node_save
from apps.messages.services.gaps import gaps_fill
from apps.messages.services.guards import guard_remove, guard_set
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import fee_limits_set, message_replace
from apps.messages.services.retry import messages_recover
from apps.messages.services.select import sender_select
from apps.messages.states import MessageState, Wait
from apps.users.rules.principals import SYSTEM
from tests.messaging import Pool

pytestmark = pytest.mark.django_db(transaction=True)


def signed_unpublished(pool: Pool) -> str:
    """Have one message signed that no node has yet; returns its sender."""
    address = pool.address()
    pool.push("one", address)
    sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)
    return address


def test_fee_raised_during_the_first_publication_reaches_nodes(
    pool: Pool, beside: Callable[..., list[Any]]
) -> None:
    address = signed_unpublished(pool)
    first = pool.row("one")

    def replace() -> Message:
        return message_replace(
            message=first, fees=NewFees(), client=pool.client, head=pool.head, now=pool.now
        )

    beside(
        lambda: messages_publish([first.pk], now=pool.now),
        "apps.messages.services.publish.publishing_nodes_list",
        replace,
        watched_s=20,
    )
    messages_publish([first.pk], now=pool.now)

    newest = pool.row("one")
    assert newest.gas_premium > first.gas_premium
    assert str(pool.node.pool[(address, 0)].cid) == newest.cid
    assert newest.published_at is not None


def gap_at_zero(pool: Pool) -> str:
    """Have a nonce gap before a message in flight, seen at an earlier head; returns its sender."""
    address = pool.address()
    for name in ("one", "two"):
        pool.push(name, address)
    pool.choose()
    message_mark_bad(message=pool.row("one"), now=pool.now)
    pool.node.pool.pop((address, 0))
    gaps_fill(client=pool.client, head=pool.head)
    pool.node.mine(only=lambda _: False)
    pool.follow()
    return address


def test_two_passes_over_a_nonce_gap_push_one_filler(pool: Pool, beside: Callable[..., list[Any]]) -> None:
    gap_at_zero(pool)
    earlier = pool.head
    pool.node.mine(only=lambda _: False)
    pool.follow()

    made, again, _ = beside(
        lambda: gaps_fill(client=pool.client, head=earlier),
        "apps.messages.services.gaps.sender_chain_state_read",
        lambda: gaps_fill(client=pool.client, head=pool.head),
        watched_s=20,
    )

    assert len(made + again) == 1
    assert Message.objects.filter(kind="gap").count() == 1


def test_nonce_gap_closed_by_a_selection_gets_no_filler(pool: Pool, beside: Callable[..., list[Any]]) -> None:
    address = gap_at_zero(pool)

    def choose() -> None:
        pool.push("three", address)
        sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)

    made, *_ = beside(
        lambda: gaps_fill(client=pool.client, head=pool.head),
        "apps.messages.services.gaps.sender_chain_state_read",
        choose,
        watched_s=20,
    )

    assert pool.row("three").nonce == 0
    assert (made, Message.objects.filter(kind="gap").count()) == ([], 0)


def test_fee_limit_set_while_a_message_is_signed_holds_for_it(
    pool: Pool, beside: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.messages.services.replace.selection_enqueue", lambda _address: None)
    address = pool.address()
    row = pool.push("one", address)

    beside(
        lambda: sender_select(address=address, head=pool.head, client=pool.client, now=pool.now),
        "apps.messages.services.sign.messages_sign",
        lambda: fee_limits_set(message=row, max_fee=1, gas_fee_cap=0, now=pool.now),
        watched_s=20,
    )

    row = pool.row("one")
    assert (row.state, row.wait, row.max_fee) == (MessageState.UNFILLED, Wait.FEE_LIMIT, 1)


def test_recovery_by_hand_leaves_a_nonce_that_was_just_reused(
    pool: Pool, beside: Callable[..., list[Any]]
) -> None:
    address = gap_at_zero(pool)
    pool.push("three", address)

    def choose() -> None:
        sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)

    def recover() -> list[str]:
        return messages_recover(address=address, client=pool.client, head=pool.head, now=pool.now)

    recovered, *_ = beside(
        recover, "apps.messages.services.retry.sender_chain_state_read", choose, watched_s=20
    )

    assert (recovered, pool.row("one").state, pool.row("three").nonce) == ([], MessageState.FAILED, 0)


def test_fee_limit_set_while_its_message_is_given_up_ends_in_no_deadlock(
    pool: Pool, beside: Callable[..., list[Any]]
) -> None:
    address = pool.address()
    early = pool.push("one", address)
    sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)

    given_up, refused, has_waited = beside(
        lambda: message_mark_bad(message=pool.row("one"), now=pool.now),
        "apps.messages.services.cancel.version_require",
        lambda: fee_limits_set(message=early, max_fee=1, gas_fee_cap=0, now=pool.now),
    )

    assert has_waited
    assert given_up.state == MessageState.FAILED
    assert isinstance(refused, BadMessage), refused


def test_two_limits_of_a_gas_guard_set_at_once_are_both_set(beside: Callable[..., list[Any]]) -> None:
    guard = guard_set(principal=SYSTEM, kind="commit", max_fee=5)
    seen = GasGuard.objects.get(pk=guard.pk)

    beside(
        lambda: guard_set(principal=SYSTEM, guard=guard, daily_budget=70),
        "apps.messages.services.guards.audit_record",
        lambda: guard_set(principal=SYSTEM, guard=seen, max_fee=3),
    )

    row = GasGuard.objects.get()
    assert (row.max_fee, row.daily_budget) == (3, 70)


def test_gas_guard_removed_while_it_is_changed_stays_removed(beside: Callable[..., list[Any]]) -> None:
    guard = guard_set(principal=SYSTEM, kind="commit", max_fee=5)
    seen = GasGuard.objects.get(pk=guard.pk)

    _, refused, _ = beside(
        lambda: guard_remove(principal=SYSTEM, guard=guard),
        "apps.messages.services.guards.audit_record",
        lambda: guard_set(principal=SYSTEM, guard=seen, max_fee=3),
    )

    assert isinstance(refused, NotFound)
    assert not GasGuard.objects.exists()


def test_extra_node_saved_and_removed_at_once_ends_in_no_deadlock(beside: Callable[..., list[Any]]) -> None:
    def save() -> ExtraNode:
        return extra_node_save(principal=SYSTEM, name="second", url="http://127.0.0.1:9", token="")

    save()

    beside(
        save,
        "apps.messages.services.extra_nodes.audit_record",
        lambda: extra_node_delete(principal=SYSTEM, name="second"),
    )

    assert not ExtraNode.objects.exists()


def between() -> None:
    """Where a landing stops that has locked one of its messages."""


def test_why_messages_wait_is_noted_beside_their_landing(
    pool: Pool, beside: Callable[..., list[Any]]
) -> None:
    address = pool.address()
    for name, nonce in (("b", 1), ("a", 0)):
        Message.objects.create(
            pk=name, push_id=name, to=address, from_addr=address, method=0, state="FILLED", nonce=nonce
        )

    def land() -> dict[str, int | None]:
        with transaction.atomic():
            for name in "ab":
                Message.objects.select_for_update().get(pk=name)
                if name == "a":
                    between()
            return messages_advance("LAND", rows={"a": {}, "b": {}}, now=pool.now)

    landed, *_ = beside(
        land,
        f"{__name__}.between",
        lambda: waits_record([(name, Wait.FEE_CAP, "") for name in "ba"], now=pool.now),
    )

    assert landed.keys() == {"a", "b"}
