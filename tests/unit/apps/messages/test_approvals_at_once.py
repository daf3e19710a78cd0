"""Approvals, refusals, cancels, rules and selections at the same moment, each on its own connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.core.errors import NotAllowed
from apps.messages.errors import BadMessage, SecondPersonRequired
from apps.messages.models import ApprovalRule, Message, MessageApproval, MessageEvent
from apps.messages.selectors.approval_choice import content_digest_compute
from apps.messages.services.approval_rules import (
    approval_rule_add,
    approval_rule_removal_request,
    approval_rule_remove,
)
from apps.messages.services.approvals import message_approve, message_refuse
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.publish import messages_publish
from apps.messages.services.select import sender_select
from apps.messages.states import ApprovalState, MessageState, Wait
from apps.users.models import User
from apps.users.rules.principals import Principal
from apps.users.selectors.principals import principal_of
from apps.users.services.people import person_set_active
from apps.users.states import Role
from tests.messaging import Pool
from tests.people import operator_person, person, tenant

pytestmark = pytest.mark.django_db(transaction=True)

LOCKED = "apps.messages.services.approvals.content_digest_compute"
"""Where an approval has its locks and has changed nothing yet."""


def who(name: str) -> Principal:
    return principal_of(User.objects.get(username=name))


@pytest.fixture
def waiting(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Message:
    """Push one message that waits for a second person."""
    monkeypatch.setattr("apps.messages.services.approvals.selection_enqueue", lambda _address: None)
    person("ann", role=Role.TENANT_ADMIN)
    person("bea")
    operator_person("olga")
    approval_rule_add(principal=who("ann"), tenant=tenant("alice"), above=5, now=pool.now)
    return pool.push("one", pool.address(), by=who("ann"), value=9)


def approve(row: Message, pool: Pool, *, by: str) -> Message:
    return message_approve(message=row, by=who(by), content=content_digest_compute(row), now=pool.now)


def select(row: Message, pool: Pool) -> None:
    done = sender_select(address=row.from_addr, head=pool.head, client=pool.client, now=pool.now)
    messages_publish(done.filled, now=pool.now)


def test_of_two_approvals_at_once_one_counts(
    pool: Pool, waiting: Message, beside: Callable[..., list[Any]]
) -> None:
    _, second, has_waited = beside(
        lambda: approve(waiting, pool, by="bea"), LOCKED, lambda: approve(waiting, pool, by="olga")
    )

    assert has_waited
    assert isinstance(second, BadMessage)
    assert MessageApproval.objects.get().decided_by == "bea"
    assert MessageEvent.objects.filter(event="approved").count() == 1


@pytest.mark.parametrize("end", ["cancel", "refuse"])
def test_approval_and_an_end_at_once_leave_one_of_them(
    pool: Pool, waiting: Message, beside: Callable[..., list[Any]], end: str
) -> None:
    def finish() -> Message:
        if end == "cancel":
            return message_mark_bad(message=waiting, now=pool.now, by=who("ann"))
        return message_refuse(message=waiting, by=who("olga"), reason="", now=pool.now)

    approved, ended, _ = beside(lambda: approve(waiting, pool, by="bea"), LOCKED, finish)

    row = pool.row("one")
    assert isinstance(approved, Message)
    if end == "refuse":
        assert isinstance(ended, BadMessage)
        assert (row.state, row.needs_approval) == (MessageState.UNFILLED, False)
    else:  # what is approved and has no nonce may still be cancelled
        assert row.state == MessageState.FAILED
    select(waiting, pool)
    assert (pool.row("one").nonce is None) == (end == "cancel")


def test_a_cancel_that_comes_first_leaves_nothing_to_approve(
    pool: Pool, waiting: Message, beside: Callable[..., list[Any]]
) -> None:
    _, approved, _ = beside(
        lambda: message_mark_bad(message=waiting, now=pool.now, by=who("ann")),
        "apps.messages.services.cancel.event_record",
        lambda: approve(waiting, pool, by="bea"),
    )

    assert isinstance(approved, BadMessage)
    assert (pool.row("one").state, pool.row("one").needs_approval) == (MessageState.FAILED, True)


def test_a_person_deactivated_at_the_same_moment_approves_nothing(
    pool: Pool, waiting: Message, beside: Callable[..., list[Any]]
) -> None:
    bea, content = who("bea"), content_digest_compute(waiting)
    _, approved, _ = beside(
        lambda: person_set_active(
            principal=who("ann"), person=User.objects.get(username="bea"), is_open=False
        ),
        "apps.users.services.people.audit_record",
        lambda: message_approve(message=waiting, by=bea, content=content, now=pool.now),
    )

    assert isinstance(approved, NotAllowed)
    assert pool.row("one").needs_approval


def test_a_rule_added_while_a_message_is_signed_holds_for_it(
    pool: Pool, waiting: Message, beside: Callable[..., list[Any]]
) -> None:
    pool.push("two", waiting.from_addr, value=3)

    beside(
        lambda: select(waiting, pool),
        "apps.messages.services.sign.messages_sign",
        lambda: approval_rule_add(principal=who("ann"), tenant=tenant("alice"), above=2, now=pool.now),
        watched_s=20,
    )

    row = pool.row("two")
    assert (row.state, row.wait, row.nonce) == (MessageState.UNFILLED, Wait.APPROVAL, None)
    assert MessageApproval.objects.get(message=row).state == ApprovalState.PENDING


def test_a_push_that_read_the_rules_before_one_was_added_is_held(
    pool: Pool, waiting: Message, beside: Callable[..., list[Any]]
) -> None:
    beside(
        lambda: pool.push("two", waiting.from_addr, value=3),
        "apps.messages.services.push.push_facts",
        lambda: approval_rule_add(principal=who("ann"), tenant=tenant("alice"), above=2, now=pool.now),
        watched_s=20,
    )
    assert not pool.row("two").needs_approval  # it came after the rule had looked

    select(waiting, pool)

    row = pool.row("two")
    assert (row.state, row.wait, row.needs_approval) == (MessageState.UNFILLED, Wait.APPROVAL, True)


def test_a_removal_takes_two_people_whatever_they_do_at_once(
    pool: Pool, waiting: Message, beside: Callable[..., list[Any]]
) -> None:
    rule = ApprovalRule.objects.get()
    approval_rule_removal_request(principal=who("ann"), rule=rule, now=pool.now)

    _, again, _ = beside(
        lambda: approval_rule_remove(principal=who("olga"), rule=rule),
        "apps.messages.services.approval_rules.audit_record",
        lambda: approval_rule_remove(principal=who("ann"), rule=rule),
    )

    assert isinstance(again, SecondPersonRequired | NotAllowed) or again is not None
    assert not ApprovalRule.objects.exists()
    assert pool.row("one").needs_approval
    assert waiting.pk == pool.row("one").pk
