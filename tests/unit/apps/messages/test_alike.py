"""What failed alike is one group, tried again together where that can help, with one line in the log."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.core.reasons import refused
from apps.gateway.errors import SignerRefused
from apps.messages.models import Message, MessageEvent
from apps.messages.reasons import EXPIRED, NEEDS, SIGN_FAILED
from apps.messages.selectors.alike import MessageGroup, messages_grouped
from apps.messages.services.retry import messages_retry_now
from apps.messages.states import MessageState, Wait
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM, Principal
from poolsite.wire.policy_refusals import VALUE, LimitRefusal
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

BARRED: Final = SIGN_FAILED(
    reason=refused(SignerRefused(str(LimitRefusal("small", VALUE, "5 FIL", "1 FIL"))))
)
"""Refused again by the same rule, however often it is tried."""
LOCKED: Final = SIGN_FAILED(reason=refused(SignerRefused("the key store is locked")))
"""May pass with the next attempt."""


def stuck(name: str, error: str, *, wait: Wait = Wait.FUNDS, **more: Any) -> Message:
    """A message that has failed five times and backs off."""
    return factories.message(name, wait=wait, error=error, attempts=5, retry_height=2_000, **more)


def poor(*names: str, **more: Any) -> list[Message]:
    return [
        stuck(name, NEEDS(need=f"{number} FIL", balance="0 FIL"), **more) for number, name in enumerate(names)
    ]


def groups_of(viewer: Principal = SYSTEM) -> list[MessageGroup]:
    return messages_grouped(viewer, head=None, network=None)


def rest(method: str, path: str, body: Any = None, *, of: str = "alice") -> Any:
    return Client().generic(
        method,
        f"/api/v1/{path}",
        "" if body is None else json.dumps(body),
        content_type="application/json",
        headers=people.bearer(people.token("sign", of=of)),
    )


def test_messages_of_one_cause_are_one_group_whatever_their_figures() -> None:
    poor("a", "b", "c")
    stuck("barred", BARRED, wait=Wait.POLICY)
    poor("other method", method=5)
    poor("bobs", of="bob")
    for number in range(2):
        factories.message(
            f"late-{number}", state=MessageState.FAILED, error=EXPIRED(expire_epoch=900 + number)
        )

    found = groups_of()

    assert [(one.view, one.count) for one in found] == [
        ("stuck", 4),
        *[("stuck", 1)] * 2,
        ("failed", 2),
    ]
    assert (found[0].ids, found[0].tenants) == (["bobs", "c", "b", "a"], ["alice", "bob"])
    assert found[0].since <= found[0].last
    assert "retry-now" in found[0].diagnosis.actions
    [barred] = [one for one in found if one.ids == ["barred"]]
    assert "retry-now" not in barred.diagnosis.actions
    assert barred.diagnosis.text == "rule “small” allows 1 FIL, this sends 5 FIL"


def test_a_tenant_sees_its_own_groups() -> None:
    poor("a")
    poor("bobs", of="bob")

    assert [one.ids for one in groups_of(people.principal("bob"))] == [["bobs"]]
    [body] = rest("GET", "message-failures").json()["results"]
    assert (body["tenant"], body["ids"], body["state"]) == ("alice", ["a"], "stuck")
    [shared] = [one.key for one in groups_of()]
    assert [row["id"] for row in rest("GET", f"messages?cause={shared}").json()["results"]] == ["a"]


def test_groups_are_read_without_a_query_per_message() -> None:
    factories.head(1000)
    poor(*map(str, range(3)))
    with CaptureQueriesContext(connection) as few:
        groups_of()
    poor(*map(str, range(10, 40)))
    for number in range(10, 40):
        stuck(f"b{number}", BARRED, wait=Wait.POLICY)

    with CaptureQueriesContext(connection) as many:
        [first, second] = groups_of()

    assert (first.count, second.count) == (33, 30)
    assert len(many) == len(few) == 5


def test_the_list_is_narrowed_to_a_group_and_to_a_code() -> None:
    poor("a", "b")
    stuck("barred", BARRED, wait=Wait.POLICY)
    factories.message("landed", state=MessageState.LANDED)
    key = groups_of()[0].key

    def ids(query: str) -> set[str]:
        return {one["id"] for one in rest("GET", f"messages?{query}").json()["results"]}

    assert ids(f"cause={key}") == {"a", "b"}
    assert ids("error_code=messages.needs") == {"a", "b"}
    assert ids("error_code=messages.sign_failed") == {"barred"}
    assert ids("error_code=&state=stuck") == {"a", "b", "barred"}
    assert ids("cause=unknown") == set()


def test_all_of_a_group_are_tried_again_with_one_line_in_the_log() -> None:
    rows, by = poor("a", "b", "c"), people.principal("alice")

    done, refusals = messages_retry_now(rows, now=now(), by=by)

    assert ([row.pk for row in done], refusals) == (["a", "b", "c"], {})
    assert set(Message.objects.values_list("attempts", "retry_height")) == {(0, 0)}
    assert MessageEvent.objects.filter(event="tried by hand").count() == 3
    [line] = AuditEntry.objects.all()
    assert (line.action, line.target) == ("message.retry-all", "3 messages")
    after: Any = line.after
    assert sorted(after["messages"]) == ["a", "b", "c"]


def test_what_can_never_succeed_is_refused_by_name_and_left_as_it_is() -> None:
    factories.head(1000)
    poor("a", "b")
    stuck("barred", BARRED, wait=Wait.POLICY)
    factories.message("gone", state=MessageState.LANDED)

    body = rest("POST", "messages:bulk", {"action": "retry-now", "ids": ["a", "b", "barred", "gone"]}).json()

    assert sorted(body["done"]) == ["a", "b"]
    assert {one["id"]: one["reason"] for one in body["refused"]} == {
        "barred": "another attempt cannot help: rule “small” allows 1 FIL, this sends 5 FIL: "
        "it is refused again until the signer's policy allows it",
        "gone": "possible only before a message is signed: this one is on chain",
    }
    left = Message.objects.get(pk="barred")
    assert (left.attempts, left.retry_height) == (5, 2_000)
    assert not MessageEvent.objects.filter(message="barred").exists()
    assert AuditEntry.objects.filter(action__startswith="message.retry").count() == 1


def test_a_group_is_tried_again_over_rest_by_its_cause() -> None:
    factories.head(1000)
    poor("a", "b")
    stuck("barred", BARRED, wait=Wait.POLICY)
    key = rest("GET", "message-failures").json()["results"][0]["cause"]

    body = rest("POST", "messages:bulk", {"action": "retry-now", "cause": key}).json()

    assert (sorted(body["done"]), body["refused"], body["left"]) == (["a", "b"], [], 0)
    again = rest("POST", "messages:bulk", {"action": "retry-now", "cause": key}).json()
    assert (again["done"], again["refused"]) == ([], [])


def test_the_page_offers_one_act_for_what_it_can_help_and_none_else() -> None:
    people.person("ann")
    poor("a", "b")
    for name in ("x", "y"):
        stuck(name, BARRED, wait=Wait.POLICY)
    key = groups_of()[0].key
    client = signed_in("ann")

    page = text_of(client.get(reverse("messages-failures")))

    assert page.count("Retry 2 messages…") == 1
    assert page.count("Mark 2 messages as failed…") == 2
    assert "a rule that allows it releases it on the next head" in page
    assert f"state=stuck&amp;cause={key}" in page
    review = text_of(client.get(f"{reverse('messages-bulk', args=['retry-now'])}?state=stuck&cause={key}"))
    assert "Retry: 2 messages" in review


def test_a_single_message_has_the_acts_of_several() -> None:
    people.person("ann")
    wallet = factories.wallet(label="till")
    stuck("barred", BARRED, wait=Wait.POLICY, from_addr=wallet.address)
    factories.message("lost", state=MessageState.REPLACED, wait=Wait.NONCE_TAKEN)
    poor("a", "b", from_addr=wallet.address)

    page = text_of(signed_in("ann").get(reverse("messages-failures")))

    assert f'href="{reverse("policy", args=[wallet.address])}"' in page
    assert "Mark 1 message as failed…" in page
    assert f'href="{reverse("message-push-again", args=["lost"])}"' in page
    assert f'href="{reverse("message-compose")}?to={wallet.address}"' in page
    assert "Retry 2 messages…" in page


def test_the_check_names_each_cause_once() -> None:
    factories.head(1000)
    for number in range(3):
        factories.message(
            f"late-{number}", state=MessageState.FAILED, error=EXPIRED(expire_epoch=900 + number)
        )
    factories.message("refused", state=MessageState.LANDED, exit_code=16)
    for name in ("a", "b"):
        stuck(name, LOCKED, wait=Wait.POLICY)

    report = evaluate_some(["messages_failed", "messages_stuck"], CheckData(SYSTEM))

    failed = [one.finding for one in report.found if one.check.name == "messages_failed"]
    assert sorted((one.count, one.say) for one in failed) == [
        (1, "1 message failed in the last 24 h"),
        (3, "3 messages failed in the last 24 h"),
    ]
    [many] = [one for one in failed if one.count == 3]
    assert many.link is not None
    assert many.link.query.startswith("state=failed&cause=")
    [stuck_one] = [one.finding for one in report.found if one.check.name == "messages_stuck"]
    [act] = stuck_one.acts
    assert act.text == "Retry 2 messages…"
    assert act.link.address.startswith("/messages-bulk/retry-now/?state=stuck&cause=")
