"""What PagerDuty reports back: signed, once, for an alert of the channel's own, and nothing more."""

from __future__ import annotations

import hmac
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from apps.checks.models import Alert, AlertChannel, AlertEntry, CallbackEvent, Notification
from apps.checks.services.acknowledgements import alert_acknowledgement_end
from apps.checks.services.alerts import alerts_delete_old
from apps.checks.services.channels import channel_callback_set, channel_set
from apps.checks.services.pagerduty_callbacks import pagerduty_event_handle
from apps.checks.states import ChannelKind
from apps.core import clock
from apps.core.errors import BadValue, NotAllowed
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from apps.users.services import rate_limit_buckets
from apps.users.services.tenants import tenant_update
from tests import factories, people
from tests.alerts import T0, channel, told
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db
SECRET = "s3cr3t-of-the-webhook"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def now_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.network()
    monkeypatch.setattr(clock, "now", lambda: T0)


def pager(name: str = "pager", secret: str = SECRET, **values: Any) -> AlertChannel:
    row = channel(name, "", kind=ChannelKind.PAGERDUTY, secret="key", **values)
    channel_callback_set(principal=SYSTEM, channel=row, secret=secret)
    return row


def failing(at: datetime = T0) -> Alert:
    told(at, "fee_debt")
    return Alert.objects.get(check_name="fee_debt", ended_at=None)


def event(alert: Alert | None, **values: Any) -> dict[str, Any]:
    """An event as PagerDuty writes it."""
    return {
        "id": "01BRB6ZP4M6T8ZG4X6BP63ZB9O",
        "event_type": "incident.acknowledged",
        "resource_type": "incident",
        "occurred_at": T0.isoformat().replace("+00:00", "Z"),
        "agent": {"id": "PLH1HKV", "summary": "Li Wei", "type": "user_reference"},
        "client": {"name": "PagerDuty"},
        "data": {"type": "incident", "incident_key": f"poolsite-{alert.uuid}" if alert else "x"},
        **values,
    }


def signature(body: bytes, secret: str = SECRET) -> str:
    return "v1=" + hmac.digest(secret.encode(), body, "sha256").hex()


def post(row: AlertChannel, sent: Any, *, signed: str | None = None) -> HttpResponse:
    body = sent if isinstance(sent, bytes) else json.dumps({"event": sent}).encode()
    headers = {"X-PagerDuty-Signature": signature(body) if signed is None else signed}
    address = reverse("pagerduty-event", args=[row.uuid])
    client = Client(enforce_csrf_checks=True)
    return client.post(address, body, content_type="application/json", headers=headers)  # type: ignore[return-value]


def answered(answer: HttpResponse) -> tuple[int, str]:
    found = json.loads(answer.content)
    return answer.status_code, str(found.get("reason", found.get("result", found.get("code"))))


def test_who_acknowledges_an_incident_has_acknowledged_the_alert() -> None:
    row, alert = pager(), failing()

    assert answered(post(row, event(alert))) == (200, "acknowledged")

    alert.refresh_from_db()
    assert (alert.acknowledged_by, alert.acknowledged_until) == ("PagerDuty: Li Wei", T0 + 12 * HOUR)
    line = AuditEntry.objects.latest("pk")
    assert (line.actor, line.action, line.target) == ("PagerDuty: Li Wei", "alert.acknowledge", "fee_debt")
    told(T0 + 2 * HOUR, "fee_debt")
    events = Notification.objects.filter(channel=row).order_by("pk").values_list("event", flat=True)
    assert list(events) == ["STARTED", "ACKNOWLEDGED"], "which it knows, and changes nothing there"


def test_an_event_that_is_reported_again_changes_nothing() -> None:
    row, alert = pager(), failing()
    post(row, event(alert))
    alert_acknowledgement_end(principal=SYSTEM, uuid=alert.uuid, now=T0)

    assert answered(post(row, event(alert))) == (200, "this event was reported before")

    alert.refresh_from_db()
    assert not alert.is_acknowledged
    assert AlertEntry.objects.filter(kind="ACKNOWLEDGED").count() == 1


def test_an_event_acknowledges_twice_only_under_another_id() -> None:
    row, alert = pager(), failing()
    post(row, event(alert))
    alert_acknowledgement_end(principal=SYSTEM, uuid=alert.uuid, now=T0)

    assert answered(post(row, event(alert, id="another"))) == (200, "acknowledged")


@pytest.mark.parametrize(
    "signed",
    [
        *("", "v1=", "v1=é", "v0=" + "0" * 64, "v1=" + "0" * 64, signature(b"{}")),
        signature(b"other", "another secret"),
    ],
)
def test_a_wrong_signature_is_refused(signed: str) -> None:
    row, alert = pager(), failing()

    assert answered(post(row, event(alert), signed=signed)) == (403, "not_allowed")

    alert.refresh_from_db()
    assert not alert.is_acknowledged
    assert not CallbackEvent.objects.exists()


def test_an_address_that_reports_too_often_is_refused(
    shared_reports: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit_buckets, "PER_MINUTE", 2)
    row, alert = pager(), failing()

    assert [post(row, event(alert), signed="v1=x").status_code for _ in range(3)] == [403, 403, 429]
    refusal = post(row, event(alert))
    assert answered(refusal) == (429, "rate_limited")
    assert int(refusal["Retry-After"]) > 0
    alert.refresh_from_db()
    assert not alert.is_acknowledged


def test_one_good_signature_of_several_is_enough() -> None:
    row, alert = pager(), failing()
    body = json.dumps({"event": event(alert)}).encode()

    both = f"{signature(body, 'old secret')}, {signature(body)}"
    assert answered(post(row, body, signed=both)) == (200, "acknowledged")


def test_a_channel_without_a_secret_or_off_takes_nothing() -> None:
    row, alert = pager(), failing()
    hook, bare = channel("hook"), channel("bare", "", kind=ChannelKind.PAGERDUTY, secret="key")
    empty = json.dumps({"event": event(alert)}).encode()

    for one in (hook, bare, AlertChannel(uuid=uuid4())):
        assert answered(post(one, event(alert))) == (404, "not_found")
        assert answered(post(one, empty, signed=signature(empty, ""))) == (404, "not_found")
    channel_set(principal=SYSTEM, channel=row, is_enabled=False)
    assert answered(post(row, event(alert))) == (404, "not_found")
    channel_set(principal=SYSTEM, channel=row, is_enabled=True)
    channel_callback_set(principal=SYSTEM, channel=row, secret="")
    assert answered(post(row, event(alert))) == (404, "not_found")
    alert.refresh_from_db()
    assert not alert.is_acknowledged


@pytest.mark.parametrize(
    "values",
    [
        *({"event_type": f"incident.{name}"} for name in ("resolved", "annotated", "unacknowledged")),
        {"event_type": "pagey.ping"},
        {"agent": {"summary": "Poolsite", "type": "service_reference"}},
        {"agent": {"summary": " ", "type": "user_reference"}},
        {"agent": None},
        {"occurred_at": (T0 - 25 * HOUR).isoformat()},
        {"occurred_at": (T0 + 25 * HOUR).isoformat()},
        {"occurred_at": "0001-01-01T00:00:00+14:00"},
        {"data": {}},
        {"data": []},
        {"data": {"incident_key": "poolsite-x"}},
        {"data": {"incident_key": f"poolsite-{uuid4()}"}},
    ],
)
def test_what_is_no_persons_acknowledgement_of_an_alert_is_ignored(values: dict[str, Any]) -> None:
    row, alert = pager(), failing()

    answer = post(row, event(alert, **values))

    assert (answer.status_code, json.loads(answer.content)["result"]) == (200, "ignored")
    alert.refresh_from_db()
    assert not alert.is_acknowledged


@pytest.mark.parametrize(
    "sent",
    [
        *(b"", b"{", b"\xff", b"[" * 100_000),
        event(None, id=""),
        event(None, id="x" * 101),
        event(None, id="a\x00b"),
        event(None, id=7),
        event(None, occurred_at="yesterday"),
        event(None, occurred_at="2026-11-21T12:00:00"),
        event(None, occurred_at=None),
    ],
)
def test_a_signed_body_that_cannot_be_read_is_refused(sent: Any) -> None:
    assert answered(post(pager(), sent)) == (400, "bad_value")


@pytest.mark.parametrize("sent", [b"[]", b"null", b'{"event": 7}'])
def test_a_body_without_an_event_is_ignored(sent: bytes) -> None:
    assert post(pager(), sent).status_code == 200


def test_an_alert_that_ended_or_that_somebody_else_has_is_left_alone() -> None:
    row, alert = pager(), failing()
    post(row, event(alert))
    other = event(alert, id="2", agent={"summary": "Ann", "type": "user_reference"})
    assert answered(post(row, other))[1].startswith("PagerDuty: Li Wei acknowledged it")

    told(T0 + HOUR)

    assert answered(post(row, event(alert, id="3")))[1].startswith("the check passes again since")
    alert.refresh_from_db()
    assert not alert.is_acknowledged


def test_a_channel_acknowledges_alerts_of_its_own_tenant_alone() -> None:
    alice, bob = people.tenant("alice"), people.tenant("bob")
    pools, alices = pager(), pager("a", tenant=alice)
    own = Alert.objects.create(
        tenant=alice, check_name="x", severity="critical", count=1, began_at=T0, since=T0
    )
    stranger = Alert.objects.create(
        tenant=bob, check_name="x", severity="critical", count=1, began_at=T0, since=T0
    )
    pool = failing()

    for row, alert in ((alices, stranger), (alices, pool), (pools, own)):
        answer = post(row, event(alert, id=str(alert.pk)))
        assert answered(answer)[1] == "no alert of this channel has this incident_key"
    assert not Alert.objects.exclude(acknowledged_at=None).exists()
    assert answered(post(alices, event(own, id="a"))) == (200, "acknowledged")
    line = AuditEntry.objects.latest("pk")
    assert (line.tenant_id, line.target) == (alice.pk, "alice/x")
    tenant_update(tenant=alice, enabled=False)
    assert answered(post(alices, event(own, id="b"))) == (404, "not_found")


def test_a_name_is_kept_short_and_on_one_line() -> None:
    row, alert = pager(), failing()

    post(row, event(alert, agent={"summary": "Li\n\x00Wei" + "i" * 500, "type": "user_reference"}))

    alert.refresh_from_db()
    assert alert.acknowledged_by.startswith("PagerDuty: Li ␀Weii")
    assert len(alert.acknowledged_by) < 120


def test_events_are_forgotten_once_they_would_be_too_old() -> None:
    row, alert = pager(), failing()
    post(row, event(alert))
    alerts_delete_old(now=T0 + 48 * HOUR)
    assert CallbackEvent.objects.exists()

    alerts_delete_old(now=T0 + 73 * HOUR)

    assert not CallbackEvent.objects.exists()
    body = json.dumps({"event": event(alert)}).encode()
    reason = pagerduty_event_handle(
        channel=row.uuid, body=body, signatures=signature(body), now=T0 + 73 * HOUR
    )
    assert reason == "it did not happen within the last 24 hours"


def test_only_pagerduty_takes_a_secret_and_only_from_its_admins() -> None:
    row = pager("a", tenant=people.tenant("alice"))
    for who in (people.principal("bob", "admin"), people.principal("alice", "sign")):
        with pytest.raises(NotAllowed):
            channel_callback_set(principal=who, channel=row, secret="x")
    for one, secret in ((channel("hook"), "x"), (row, "é"), (row, "x" * 2001)):
        with pytest.raises(BadValue) as refused:
            channel_callback_set(principal=SYSTEM, channel=one, secret=secret)
        assert refused.value.field == "callback_secret"


def test_the_secret_is_set_on_the_page_and_over_rest_and_never_shown() -> None:
    people.operator_person()
    row = channel("pager", "", kind=ChannelKind.PAGERDUTY, secret="key")
    page, here = signed_in("olga"), reverse("alert-channel-callback", args=[row.uuid])

    act = page.post(reverse("alert-channel-act", args=[row.uuid, "callback"]))
    assert act["Location"] == here
    assert f"/pagerduty/{row.uuid}" in text_of(page.get(here))
    assert page.post(here, {"callback_secret": "é"}).status_code == 422
    assert page.post(here, {"callback_secret": SECRET})["Location"] == reverse("alerts")
    assert "acknowledgements come back" in text_of(page.get(reverse("alerts")))
    assert SECRET not in page.get(here).content.decode()
    assert AuditEntry.objects.latest("pk").after == {"callback": True}

    address, sent = f"/api/v1/alert-channels/{row.uuid}", people.bearer(people.operator_token())
    for body, status in (({}, 400), ({"callback_secret": ""}, 200), ({"callback_secret": SECRET}, 200)):
        answer = page.patch(address, body, content_type="application/json", headers=sent)
        assert answer.status_code == status
    assert answer.json()["callback"] is True
    assert SECRET not in answer.content.decode()


def test_another_tenants_people_see_no_page_for_the_secret() -> None:
    row = pager("a", tenant=people.tenant("alice"))
    here = reverse("alert-channel-callback", args=[row.uuid])
    for name, of, role, status in (
        ("ada", "alice", "TENANT_ADMIN", 200),
        ("ann", "alice", "TENANT", 404),
        ("bill", "bob", "TENANT_ADMIN", 404),
    ):
        people.person(name, of=of, role=role)
        assert signed_in(name).get(here).status_code == status
    assert signed_in("ada").get(reverse("alert-channel-callback", args=[uuid4()])).status_code == 404
