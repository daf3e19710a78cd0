"""The pages on which a second person approves messages, and on which rules come and go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse

from apps.messages.models import ApprovalRule, Message
from apps.messages.states import MessageState
from apps.users.models import AuditEntry, User
from apps.users.selectors.principals import principal_of
from apps.users.states import Role
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams
from poolsite.filecoin.actors.multisig import ProposeParams
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.codec import to_cbor
from tests.messaging import Pool, pool_world
from tests.page_client import hidden_fields, left_open, signed_in, text_of
from tests.people import operator_person, person, tenant

WITHDRAW = to_cbor(WithdrawBalanceParams(AttoFil(5 * 10**17)))


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    person("ann", role=Role.TENANT_ADMIN)
    person("bea")
    person("aud", role=Role.AUDITOR)
    person("eve", of="bob", role=Role.TENANT_ADMIN)
    operator_person("olga")
    with pool_world(monkeypatch) as pool:
        yield pool


def by(name: str) -> Any:
    return principal_of(User.objects.get(username=name))


def held(pool: Pool, *, name: str = "one", **data: Any) -> Message:
    """Push a withdrawal as ann, which waits."""
    ApprovalRule.objects.get_or_create(tenant=tenant("alice"), created_by="ann", actor="", method=16)
    sent = {"method": 16, "params": WITHDRAW, "value": 0, **data}
    return pool.push(name, pool.address(), by=by("ann"), **sent)


def test_a_second_person_sees_what_a_message_does_and_approves_it(pool: Pool) -> None:
    row = held(pool)
    where, bea = reverse("message-approve", args=[row.pk]), signed_in("bea")

    shown = bea.get(where)
    text = text_of(shown)
    for part in ("WithdrawBalance", row.from_addr, "f01000", "ann", "> Approve <", "> Refuse <"):
        assert part in text, part
    assert text.count("0.5 FIL") == 2, "the amount, and the parameter that says it"
    assert str(5 * 10**17) not in text
    answer = bea.post(where, {**_fields(shown), "decision": "approve"})

    assert answer.status_code == 302
    assert "Approved." in text_of(bea.get(answer["Location"]))
    pool.choose()
    assert pool.row("one").state == MessageState.FILLED


def _fields(answer: Any) -> dict[str, str]:
    return {name: values[0] for name, values in hidden_fields(answer).items() if name == "content"}


def test_a_second_person_refuses_with_a_reason(pool: Pool) -> None:
    row = held(pool)
    where, olga = reverse("message-approve", args=[row.pk]), signed_in("olga")

    answer = olga.post(where, {**_fields(olga.get(where)), "decision": "refuse", "reason": "not ours"})

    assert answer.status_code == 302
    assert pool.row("one").error == "not approved by olga: not ours"
    assert "not approved by olga: not ours" in text_of(olga.get(reverse("message", args=[row.pk])))


def test_who_pushed_it_is_told_who_may_decide(pool: Pool) -> None:
    row = held(pool)
    where, ann = reverse("message-approve", args=[row.pk]), signed_in("ann")

    text = text_of(ann.get(where))
    refused = ann.post(where, {"content": "x", "decision": "approve"})

    assert "Another person must decide." in text
    assert "bea, olga" in text
    assert "> Approve <" not in text
    assert refused.status_code == 422
    assert pool.row("one").needs_approval


@pytest.mark.parametrize(("name", "status"), [("aud", 404), ("eve", 404)])
def test_auditors_and_strangers_have_no_review(pool: Pool, name: str, status: int) -> None:
    row = held(pool)

    assert signed_in(name).get(reverse("message-approve", args=[row.pk])).status_code == status


def test_a_review_asks_who_it_is_before_it_decides(pool: Pool) -> None:
    row = held(pool)
    where, bea = reverse("message-approve", args=[row.pk]), left_open("bea")

    answer = bea.post(where, {**_fields(bea.get(where)), "decision": "approve"})

    assert "confirm-password" in text_of(answer)
    assert pool.row("one").needs_approval


def test_a_multisig_proposal_is_shown_with_what_it_proposes(pool: Pool) -> None:
    inner = ProposeParams(address_parse("f01234"), AttoFil(7 * 10**18), 16, WITHDRAW)
    row = held(pool, to="f02000", method=2, params=to_cbor(inner))

    text = text_of(signed_in("bea").get(reverse("message-approve", args=[row.pk])))

    for part in ("Proposed receiver", "f01234", "WithdrawBalance", "7 FIL", "AmountRequested 0.5 FIL"):
        assert part in text, part


def test_lists_show_and_filter_what_needs_approval(pool: Pool) -> None:
    row = held(pool)
    pool.push("plain", row.from_addr)
    bea = signed_in("bea")

    listed = text_of(bea.get(reverse("messages"), {"state": "approval"}))
    detail = text_of(bea.get(reverse("message", args=[row.pk])))
    page = text_of(bea.get(reverse("approvals")))

    assert row.pk in listed
    assert pool.row("plain").pk not in listed
    assert "needs approval" in listed
    assert "Another person must approve it" in detail
    assert reverse("message-approve", args=[row.pk]) in detail
    assert "1 message waits for a second person." in page


def test_a_rule_is_added_and_removed_on_the_page(pool: Pool) -> None:  # its tables
    ann, olga = signed_in("ann"), signed_in("olga")

    added = ann.post(reverse("approval-rule-new"), {"act": "miner.WithdrawBalance", "above": "2"})
    assert added.status_code == 302, text_of(added)
    rule = ApprovalRule.objects.get()
    assert (rule.actor, rule.method, rule.above) == ("miner", 16, 2 * 10**18)
    assert "miner WithdrawBalance above 2 FIL" in text_of(ann.get(reverse("approvals")))

    def act(client: Any, op: str) -> int:
        status: int = client.post(reverse("approval-rule-act", args=[rule.uuid, op])).status_code
        return status

    assert act(olga, "agree") == 422
    assert act(ann, "ask") == 302
    assert "requested by ann" in text_of(olga.get(reverse("approvals")))
    assert act(ann, "agree") == 422
    assert act(signed_in("bea"), "agree") == 404
    assert act(signed_in("eve"), "agree") == 404
    assert act(left_open("olga"), "agree") == 200
    assert act(olga, "keep") == 302
    assert act(olga, "ask") == 302
    assert act(ann, "agree") == 302
    assert not ApprovalRule.objects.exists()
    assert AuditEntry.objects.filter(action="approval.rule.remove", actor="ann").count() == 1


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({}, "name an actor, a method or an amount"),
        ({"actor": "miner", "method": "Nonsense"}, "no method"),
        ({"act": "multisig.", "method": "3"}, "leave it empty"),
        ({"actor": "bank"}, "choose one of the options"),
    ],
)
def test_a_rule_form_names_the_field_it_refuses(pool: Pool, sent: dict[str, str], text: str) -> None:
    answer = signed_in("ann").post(reverse("approval-rule-new"), sent)

    assert answer.status_code == 422
    assert text in text_of(answer)


def test_operators_and_auditors_add_rules_only_where_they_may(pool: Pool) -> None:
    assert signed_in("bea").get(reverse("approval-rule-new")).status_code == 404
    assert signed_in("aud").get(reverse("approvals")).status_code == 200
    answer = signed_in("eve").post(
        reverse("approval-rule-new"), {"tenant": "alice", "act": ".", "above": "1"}
    )
    assert answer.status_code == 422
