"""Messages that wait for a second person: what waits, who decides, and that nothing leads past it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.core.errors import Conflict, NotAllowed
from apps.messages.errors import BadMessage, PersonRequired, SecondPersonRequired
from apps.messages.models import ApprovalRule, Message, MessageApproval
from apps.messages.rules.push_items import PushItem
from apps.messages.selectors.approval_choice import content_digest_compute
from apps.messages.selectors.approvals import approvers_of, messages_unapproved
from apps.messages.selectors.diagnosis import message_diagnose
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.approval_rules import (
    approval_rule_add,
    approval_rule_removal_request,
    approval_rule_remove,
)
from apps.messages.services.approvals import message_approve, message_refuse
from apps.messages.services.bulk import messages_bulk
from apps.messages.services.cancel import message_cancel, message_mark_bad, messages_clear
from apps.messages.services.push import messages_push
from apps.messages.services.recovery.detect import restore_check
from apps.messages.services.replace import fee_limits_set, message_replace
from apps.messages.services.retry import message_retry, message_retry_now, messages_recover
from apps.messages.states import ApprovalState, MessageState, Wait
from apps.users.models import AuditEntry, User
from apps.users.rules.principals import Principal
from apps.users.selectors.principals import principal_of
from apps.users.services.people import person_set_active
from apps.users.states import Role
from tests.messaging import Pool
from tests.people import bearer, operator_person, person, principal, principal_by_token, tenant, token
from tests.unit.apps.messages.recovery import Dump


def who(name: str) -> Principal:
    """Return a person as a session of theirs acts."""
    return principal_of(User.objects.get(username=name))


@pytest.fixture
def people(pool: Pool) -> None:  # after its tables
    person("ann", role=Role.TENANT_ADMIN)
    person("bea")
    person("aud", role=Role.AUDITOR)
    person("eve", of="bob")
    operator_person("olga")


def rule(pool: Pool, **how: Any) -> ApprovalRule:
    values = {"tenant": tenant("alice"), "principal": who("ann"), "now": pool.now, **how}
    return approval_rule_add(**values)


def held(pool: Pool, name: str = "one", *, by: str = "ann", **data: Any) -> Message:
    """Push a message that waits."""
    if not pool.node.balances:
        pool.address()
    rule_values = {"actor": "miner", "method": 16}
    if not Message.objects.exists():
        rule(pool, **rule_values)
    address = next(iter(pool.keyring.keys))
    return pool.push(name, address, by=who(by), method=16, params=b"\x81\x41\x01", value=0, **data)


def approve(pool: Pool, row: Message, *, by: str = "bea") -> Message:
    return message_approve(message=row, by=who(by), content=content_digest_compute(row), now=pool.now)


@pytest.mark.usefixtures("people")
def test_what_a_rule_fits_waits_and_holds_up_no_other_message(pool: Pool) -> None:
    row = held(pool)
    pool.push("two", row.from_addr)

    for _ in range(3):
        pool.step()

    waiting, other = pool.row("one"), pool.row("two")
    assert (waiting.state, waiting.wait, waiting.nonce) == (MessageState.UNFILLED, Wait.APPROVAL, None)
    assert (other.state, other.nonce) == (MessageState.LANDED, 0)
    found = message_diagnose(waiting, head=pool.head)
    assert found.reason == Wait.APPROVAL
    assert found.evidence["approvers"] == ["bea", "olga"]
    assert found.evidence["rule"] == "miner WithdrawBalance"


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("name", ["bea", "olga"])
def test_another_person_of_the_tenant_or_an_operator_lets_it_go(pool: Pool, name: str) -> None:
    row = held(pool)

    approve(pool, row, by=name)
    pool.choose()

    assert pool.row("one").state == MessageState.FILLED
    line = AuditEntry.objects.get(action="message.approve")
    assert (line.actor, (line.after or {})["pushed_by"]) == (name, "ann")


@pytest.mark.usefixtures("people")
def test_neither_the_pusher_nor_a_token_of_theirs_approves(pool: Pool) -> None:
    row = held(pool)
    own = principal_by_token(token("admin", by=who("ann")), now=pool.now)
    strange = principal_by_token(token("admin", of="alice"), now=pool.now)

    for by, refusal in ((who("ann"), SecondPersonRequired), (own, PersonRequired), (strange, PersonRequired)):
        with pytest.raises(refusal):
            message_approve(message=row, by=by, content=content_digest_compute(row), now=pool.now)

    assert pool.row("one").needs_approval


@pytest.mark.usefixtures("people")
def test_who_made_the_token_does_not_approve_what_it_pushed(pool: Pool) -> None:
    rule(pool, method=16)
    program = principal_by_token(token("sign", by=who("bea")), now=pool.now)
    row = pool.push("one", pool.address(), by=program, method=16, params=b"\x81\x41\x01", value=0)

    assert approvers_of(row) == ["ann", "olga"]
    with pytest.raises(SecondPersonRequired):
        approve(pool, row, by="bea")
    approve(pool, row, by="ann")


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("name", ["aud", "eve"])
def test_auditors_and_strangers_approve_nothing(pool: Pool, name: str) -> None:
    row = held(pool)

    with pytest.raises(NotAllowed):
        approve(pool, row, by=name)


@pytest.mark.usefixtures("people")
def test_a_deactivated_person_approves_nothing_with_an_open_request(pool: Pool) -> None:
    row = held(pool)
    bea = who("bea")
    person_set_active(principal=who("ann"), person=User.objects.get(username="bea"), is_open=False)

    with pytest.raises(NotAllowed):
        message_approve(message=row, by=bea, content=content_digest_compute(row), now=pool.now)


@pytest.mark.usefixtures("people")
def test_an_approval_is_for_exactly_what_was_shown(pool: Pool) -> None:
    row, other = held(pool), held(pool, "two", to="f01001")

    with pytest.raises(BadMessage):
        message_approve(message=row, by=who("bea"), content=content_digest_compute(other), now=pool.now)

    approve(pool, row)
    Message.objects.filter(pk=row.pk).update(params=b"\x81\x41\x02")  # whoever can write rows
    pool.choose()
    assert (pool.row("one").state, pool.row("one").wait) == (MessageState.UNFILLED, Wait.APPROVAL)
    assert MessageApproval.objects.get(message=row).state == ApprovalState.PENDING


@pytest.mark.usefixtures("people")
def test_a_refused_message_fails_with_the_reason(pool: Pool) -> None:
    row = held(pool)

    message_refuse(message=row, by=who("bea"), reason="not our address", now=pool.now)

    found = pool.row("one")
    assert (found.state, found.error) == (MessageState.FAILED, "not approved by bea: not our address")
    with pytest.raises(BadMessage):
        approve(pool, row)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("decided", ["refused", "cancelled", "approved"])
def test_a_message_that_is_tried_again_is_asked_about_again(pool: Pool, decided: str) -> None:
    row = held(pool)
    if decided == "refused":
        message_refuse(message=row, by=who("bea"), reason="", now=pool.now)
    if decided == "approved":
        approve(pool, row)
    if decided != "refused":
        message_mark_bad(message=row, now=pool.now)

    message_retry(message=pool.row("one"), now=pool.now)
    pool.choose()

    found = pool.row("one")
    assert (found.state, found.wait, found.needs_approval) == (MessageState.UNFILLED, Wait.APPROVAL, True)
    approve(pool, found)
    pool.choose()
    assert pool.row("one").state == MessageState.FILLED


@pytest.mark.usefixtures("people")
def test_no_other_act_on_a_waiting_message_leads_past_the_approval(pool: Pool) -> None:
    row, ann = held(pool), who("ann")
    chain: dict[str, Any] = {"client": pool.client, "head": pool.head, "now": pool.now}

    with pytest.raises(BadMessage):
        message_retry_now(message=row, now=pool.now, by=ann)
    with pytest.raises(BadMessage):
        message_replace(message=row, fees=NewFees(), by=ann, **chain)
    with pytest.raises(BadMessage):
        message_cancel(message=row, by=ann, **chain)
    assert messages_recover(address=row.from_addr, by=ann, **chain) == []
    for action in ("replace", "retry-now", "republish", "cancel"):
        assert messages_bulk(action, rows=[pool.row("one")], by=ann, **chain).done == []
    fee_limits_set(message=row, max_fee=10**18, gas_fee_cap=0, now=pool.now)
    again = pool.push("one", row.from_addr, by=ann, method=16, params=b"\x81\x41\x01", value=0)
    assert again.pk == row.pk

    pool.choose()
    found = pool.row("one")
    assert (found.state, found.needs_approval) == (MessageState.UNFILLED, True)


@pytest.mark.usefixtures("people")
def test_its_pusher_cancels_a_waiting_message_like_any_other(pool: Pool) -> None:
    first, second = held(pool), held(pool, "two")

    message_mark_bad(message=first, now=pool.now, by=who("ann"))
    messages_clear(address=second.from_addr, now=pool.now, by=who("ann"))

    assert {pool.row(name).state for name in ("one", "two")} == {MessageState.FAILED}
    assert not messages_unapproved(who("ann")).exists()


@pytest.mark.usefixtures("people")
def test_every_message_of_a_batch_is_held_by_itself(pool: Pool) -> None:
    rule(pool, above=5)
    address = pool.address()
    items = [PushItem(id=f"m{at}", to="f01000", from_=address, method=0, value=at) for at in range(8)]

    messages_push(items, principal=principal())

    assert {row.push_id for row in Message.objects.filter(needs_approval=True)} == {"m6", "m7"}
    assert MessageApproval.objects.count() == 2


@pytest.mark.usefixtures("people")
def test_a_rule_holds_for_what_has_no_nonce_yet(pool: Pool) -> None:
    address = pool.address()
    pool.push("sent", address, value=9)
    pool.choose()
    pool.push("waits", address, value=9)
    pool.push("small", address, value=1)

    rule(pool, above=5)
    pool.choose()

    assert pool.row("sent").state == MessageState.FILLED
    assert pool.row("waits").wait == Wait.APPROVAL
    assert pool.row("small").state == MessageState.FILLED


@pytest.mark.usefixtures("people")
def test_a_kill_after_the_rule_holds_at_the_next_selection(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.push("one", pool.address(), value=9)
    monkeypatch.setattr(
        "apps.messages.services.approval_rules.messages_require_approval", lambda *_, **__: []
    )

    rule(pool, above=5)
    pool.choose()

    assert (pool.row("one").state, pool.row("one").wait) == (MessageState.UNFILLED, Wait.APPROVAL)
    approve(pool, pool.row("one"))
    pool.choose()
    assert pool.row("one").state == MessageState.FILLED


@pytest.mark.usefixtures("people")
def test_an_expired_message_fails_while_it_waits(pool: Pool) -> None:
    held(pool, expire_epoch=pool.head.height + 1)

    for _ in range(3):
        pool.step()

    assert (pool.row("one").state, pool.row("one").wait) == (MessageState.FAILED, Wait.EXPIRED)


@pytest.mark.usefixtures("people")
def test_waiting_messages_leave_a_nonce_gap_to_a_filler(pool: Pool) -> None:
    first = held(pool)
    pool.push("two", first.from_addr)
    pool.push("three", first.from_addr)
    pool.choose()
    message_mark_bad(message=pool.row("two"), now=pool.now)
    pool.node.pool.pop((first.from_addr, 0))

    for _ in range(4):
        pool.step()

    assert Message.objects.filter(kind="gap", state=MessageState.LANDED).count() == 1
    assert pool.row("three").state == MessageState.LANDED


@pytest.mark.usefixtures("people")
def test_a_rule_that_one_person_alone_could_never_remove_is_refused(pool: Pool) -> None:
    person_set_active(principal=who("olga"), person=User.objects.get(username="ann"), is_open=False)

    with pytest.raises(Conflict):
        rule(pool, above=5, principal=who("olga"))


@pytest.mark.usefixtures("people")
def test_what_waits_goes_on_waiting_when_its_rule_is_removed(pool: Pool) -> None:
    row = held(pool)
    approval_rule_removal_request(principal=who("ann"), rule=ApprovalRule.objects.get(), now=pool.now)
    approval_rule_remove(principal=who("olga"), rule=ApprovalRule.objects.get())
    pool.push("two", row.from_addr)

    pool.step()

    assert (pool.row("one").state, pool.row("one").wait) == (MessageState.UNFILLED, Wait.APPROVAL)
    assert pool.row("two").nonce == 0


@pytest.mark.usefixtures("people")
def test_a_backup_from_before_the_approval_finds_what_was_sent(pool: Pool) -> None:
    restore_check(now=pool.now)
    row = held(pool)
    other = held(pool, "two")
    dump = Dump()
    approve(pool, row)
    pool.choose()
    for _ in range(3):
        pool.step()
    assert pool.row("one").state == MessageState.LANDED

    dump.restore()
    for _ in range(4):
        pool.step()

    assert (pool.row("one").state, pool.row("one").needs_approval) == (MessageState.LANDED, False)
    assert (pool.row("two").state, pool.row("two").wait) == (MessageState.UNFILLED, Wait.APPROVAL)
    assert pool.nonces_on_chain(other.from_addr) == [0]


@pytest.mark.usefixtures("people")
def test_clients_of_the_messager_see_an_unfilled_message_that_waits(pool: Pool, client: Client) -> None:
    row = held(pool)
    call = {"jsonrpc": "2.0", "id": 1, "method": "Message.GetMessageByUid", "params": [row.push_id]}

    answer = client.post(
        "/rpc/v0", call, content_type="application/json", headers=bearer(token("sign"))
    ).json()

    found = answer["result"]
    assert (found["State"], found["Nonce"], found["ErrorMsg"]) == (1, 0, "")
