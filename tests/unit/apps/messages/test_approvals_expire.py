"""Messages that nobody approves fail after a day, and a second try has a day of its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.messages.errors import BadMessage
from apps.messages.models import Message, MessageApproval, MessageEvent
from apps.messages.selectors.approval_choice import content_digest_compute
from apps.messages.selectors.approvals import approval_until
from apps.messages.services.approval_rules import approval_rule_add
from apps.messages.services.approvals import approvals_expire, message_approve
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.retry import message_retry
from apps.messages.states import APPROVAL_WITHIN, ApprovalState, MessageState, Wait
from apps.users.models import User
from apps.users.selectors.principals import principal_of
from apps.users.states import Role
from tests.messaging import Pool
from tests.people import person, tenant

SECOND = timedelta(seconds=1)


@pytest.fixture
def held(pool: Pool) -> Message:
    """A message that waits for a second person."""
    person("ann", role=Role.TENANT_ADMIN)
    person("amy", role=Role.TENANT_ADMIN)
    ann = principal_of(User.objects.get(username="ann"))
    approval_rule_add(principal=ann, now=pool.now, tenant=tenant("alice"), above=4)
    return pool.push("one", pool.address(), by=ann, value=9)


def asked_before(age: timedelta, *, pool: Pool) -> None:
    MessageApproval.objects.update(asked_at=pool.now - age)


def test_what_nobody_approves_fails_after_a_day(pool: Pool, held: Message) -> None:
    asked_before(APPROVAL_WITHIN, pool=pool)
    assert approvals_expire(now=pool.now) == []
    assert approval_until(pool.row("one")) == pool.now

    asked_before(APPROVAL_WITHIN + SECOND, pool=pool)
    assert approvals_expire(now=pool.now) == [held.pk]

    row, approval = pool.row("one"), MessageApproval.objects.get()
    assert (row.state, row.wait, row.error) == (
        MessageState.FAILED,
        Wait.NONE,
        "nobody approved it within 24 hours",
    )
    assert (approval.state, approval.decided_by) == (ApprovalState.REFUSED, "")
    assert MessageEvent.objects.filter(message=row, event="not approved").exists()
    assert approval_until(row) is None
    amy = principal_of(User.objects.get(username="amy"))
    with pytest.raises(BadMessage):
        message_approve(message=row, by=amy, content=content_digest_compute(row), now=pool.now)


def test_what_was_approved_in_time_stays_approved(pool: Pool, held: Message) -> None:
    amy = principal_of(User.objects.get(username="amy"))
    message_approve(message=held, by=amy, content=content_digest_compute(held), now=pool.now)
    asked_before(2 * APPROVAL_WITHIN, pool=pool)

    assert approvals_expire(now=pool.now) == []
    assert pool.row("one").state == MessageState.UNFILLED


@pytest.mark.parametrize("ended", ["marked failed", "lapsed"])
def test_a_message_that_is_retried_waits_a_day_anew(pool: Pool, held: Message, ended: str) -> None:
    asked_before(3 * APPROVAL_WITHIN, pool=pool)
    if ended == "lapsed":
        approvals_expire(now=pool.now)
    else:
        message_mark_bad(message=held, now=pool.now)

    message_retry(message=pool.row("one"), now=pool.now)

    assert approvals_expire(now=pool.now) == []
    assert pool.row("one").wait == Wait.APPROVAL
    assert approval_until(pool.row("one")) == pool.now + APPROVAL_WITHIN


def test_a_head_lets_them_lapse(pool: Pool, held: Message) -> None:
    asked_before(2 * APPROVAL_WITHIN, pool=pool)

    pool.step()

    assert pool.row("one").state == MessageState.FAILED
