"""Webhooks that are told of actions: acknowledgements, comments, what fails again or becomes worse."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils.translation import override

from apps.checks.models import Alert, AlertChannel, Notification
from apps.checks.services.acknowledgements import (
    alert_acknowledge,
    alert_acknowledgement_end,
    alert_comment,
)
from apps.checks.services.channels import channel_edit, channel_set
from apps.checks.services.deliver import notifications_deliver
from apps.checks.states import ChannelKind
from apps.core.errors import BadValue
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from tests import factories, people
from tests.alerts import SECRET_URL, T0, Hook, channel, told
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def events(name: str = "tickets") -> list[str]:
    """What a channel was told of, oldest first."""
    rows = Notification.objects.filter(channel__name=name).order_by("pk")
    return [str(row.body["event"]) for row in rows]


def acknowledge(at: datetime, hours: int = 1) -> Alert:
    uuid = Alert.objects.get(ended_at=None).uuid
    return alert_acknowledge(
        principal=people.principal(actor="li", is_operator=True), uuid=uuid, hours=hours, now=at
    )


@pytest.fixture
def tickets() -> AlertChannel:
    factories.network()
    channel("plain")
    return channel("tickets", with_actions=True, repeat_s=900)


def test_what_people_do_is_told_to_whom_it_was_asked_for(tickets: AlertChannel) -> None:
    told(T0, "fee_debt")
    alert = acknowledge(T0 + MINUTE)
    with override("zh-hans"):
        alert_comment(principal=SYSTEM, uuid=alert.uuid, text="disk\nordered", now=T0 + 2 * MINUTE)
        alert_acknowledgement_end(principal=SYSTEM, uuid=alert.uuid, now=T0 + 3 * MINUTE)
    told(T0 + 4 * MINUTE)

    assert events() == ["started", "acknowledged", "commented", "unacknowledged", "ended"]
    assert events("plain") == ["started", "ended"]
    first, second, third = Notification.objects.filter(channel=tickets).order_by("pk")[1:4]
    network = factories.NETWORK
    assert first.text == f"[{network}] Acknowledged by li: fee_debt is wrong"
    common = {"alert": str(alert.uuid), "check": "fee_debt", "severity": "critical", "pool": network}
    given = {"actor": "li", "acknowledged_by": "li", "until": (T0 + 61 * MINUTE).isoformat()}
    assert {**common, **given, "page": reverse("alert", args=[alert.uuid])}.items() <= first.body.items()
    assert second.text == f"[{network}] system commented on “fee_debt is wrong”: disk\nordered"
    assert second.body["comment"] == "disk\nordered"
    assert (third.body["actor"], "acknowledged_by" in third.body) == ("system", False)


def test_a_webhook_gets_new_events_once_it_is_edited(tickets: AlertChannel) -> None:
    plain = AlertChannel.objects.get(name="plain")
    told(T0, "fee_debt")
    channel_edit(principal=SYSTEM, channel=plain, with_actions=True)
    acknowledge(T0 + MINUTE)

    assert events("plain") == ["started", "acknowledged"]
    line = AuditEntry.objects.get(action="alerts.channel.set")
    assert (line.target, line.before, line.after) == (
        "plain",
        {"with_actions": False},
        {"with_actions": True},
    )

    channel_edit(principal=SYSTEM, channel=plain, with_actions=True, repeat_s=3600)
    assert AuditEntry.objects.filter(action="alerts.channel.set").count() == 1, "nothing was changed"


def test_an_acknowledgement_that_runs_out_is_told(tickets: AlertChannel) -> None:
    told(T0, "fee_debt")
    acknowledge(T0)

    told(T0 + 61 * MINUTE, "fee_debt")

    assert events() == ["started", "acknowledged", "unacknowledged", "repeated"]
    assert Notification.objects.get(body__event="unacknowledged").body["actor"] == ""


def test_an_acknowledged_alert_that_becomes_worse_is_told_as_that(tickets: AlertChannel) -> None:
    told(T0, "fee_debt")
    acknowledge(T0)
    told(T0 + MINUTE, "fee_debt", count=2)
    told(T0 + 17 * MINUTE, "fee_debt", count=2)

    assert events() == ["started", "acknowledged", "worsened", "repeated"]
    assert events("plain") == ["started", "repeated"]
    assert "Critical, worse: fee_debt" in Notification.objects.get(body__event="worsened").text


def test_an_alert_that_fails_again_is_reopened_and_ends_anew(tickets: AlertChannel) -> None:
    told(T0, "fee_debt")
    told(T0 + 9 * MINUTE)
    told(T0 + 16 * MINUTE, "fee_debt")
    told(T0 + 17 * MINUTE)
    told(T0 + 60 * MINUTE, "fee_debt")

    assert events() == ["started", "ended", "reopened", "ended", "started"]
    assert "reopened" not in events("plain")
    assert Alert.objects.count() == 2, "an hour later it is another one"


def test_channels_that_are_off_or_for_critical_checks_are_not_told(tickets: AlertChannel) -> None:
    channel("pages", with_actions=True, critical_only=True)
    told(T0, "notifications_undelivered")
    channel_set(principal=SYSTEM, channel=tickets, is_enabled=False)

    acknowledge(T0)

    assert (events("pages"), events()) == ([], [])


def test_a_tenants_alert_is_told_to_its_own_channels(tickets: AlertChannel) -> None:
    for name in ("alice", "bob"):
        channel("tickets", with_actions=True, tenant=people.tenant(name))
    row = Alert.objects.create(
        tenant=people.tenant("alice"), check_name="x", severity="critical", count=1, began_at=T0, since=T0
    )

    alert_comment(principal=people.principal("alice", actor="ann"), uuid=row.uuid, text="mine", now=T0)

    assert [str(one.channel.tenant) for one in Notification.objects.all()] == ["alice"]


def test_actions_are_signed_and_sent_like_all_notifications(hook: Hook) -> None:
    factories.network()
    channel("tickets", hook.url, with_actions=True, secret="S1GN")
    told(T0, "fee_debt")
    acknowledge(T0)
    hook.status = 500
    notifications_deliver(now=lambda: T0)
    hook.status = 200
    notifications_deliver(now=lambda: T0 + MINUTE)
    notifications_deliver(now=lambda: T0 + 2 * MINUTE)

    assert [body["event"] for body in hook.bodies] == ["started", "started", "acknowledged"]
    headers, body = hook.got[-1]
    assert headers["X-Poolsite-Signature"] == "sha256=" + hmac.digest(b"S1GN", body, "sha256").hex()


def test_only_a_webhook_is_told_of_actions(settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    for kind, target in ((ChannelKind.EMAIL, "a@example.com"), (ChannelKind.PAGERDUTY, "")):
        with pytest.raises(BadValue) as refused:
            channel("other", target, kind=kind, secret="k", with_actions=True)
        assert refused.value.field == "with_actions"


def test_actions_are_chosen_on_the_page_and_over_rest() -> None:
    people.operator_person()
    page, address = signed_in("olga"), reverse("alert-channel-new")
    sent = {"name": "x", "target": SECRET_URL, "repeat_s": "3600", "with_actions": "1", "secret": "k"}

    refused = page.post(address, {**sent, "kind": "PAGERDUTY"})
    assert refused.status_code == 422
    assert "only a webhook is told of actions" in text_of(refused)
    assert page.post(address, {**sent, "kind": "WEBHOOK"}).status_code == 302
    assert AlertChannel.objects.get().with_actions
    assert AuditEntry.objects.get(after__with_actions=True).action == "alerts.channel.add"
    assert "; acknowledgements and comments" in text_of(page.get(reverse("alerts")))

    body = {"name": "y", "kind": "WEBHOOK", "target": SECRET_URL, "with_actions": True}
    answer = page.post(
        "/api/v1/alert-channels",
        body,
        content_type="application/json",
        headers=people.bearer(people.operator_token()),
    )
    assert (answer.status_code, answer.json()["with_actions"]) == (201, True)
