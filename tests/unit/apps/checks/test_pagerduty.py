"""PagerDuty: an alert is one incident, triggered, acknowledged and resolved under one key."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.urls import reverse

from apps.checks.models import Alert, AlertChannel, Notification
from apps.checks.selectors.alerts import channels_visible, target_shown
from apps.checks.services import deliver, outgoing
from apps.checks.services.acknowledgements import alert_acknowledge, alert_acknowledgement_end
from apps.checks.services.channels import CLAIM, channel_test
from apps.checks.services.deliver import notifications_deliver
from apps.checks.services.outgoing import notification_send
from apps.checks.services.pagerduty import EVENTS_URL
from apps.checks.states import ChannelKind
from apps.core.errors import BadValue
from apps.users.rules.encryption import text_decrypt
from apps.users.rules.principals import SYSTEM
from tests.alerts import HOUR, T0, Hook, channel, told
from tests.page_client import signed_in, text_of
from tests.people import operator_person, tenant

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
KEY = "0123456789abcdef0123456789abcdef"


def pager(target: str = "", **values: Any) -> AlertChannel:
    given = {"kind": ChannelKind.PAGERDUTY, "secret": KEY, "repeat_s": 900}
    return channel("pager", target=target, **{**given, **values})


def evaluated(at: datetime, *failing: str, **values: Any) -> None:
    """Evaluate and send at a moment."""
    told(at, *failing, **values)
    notifications_deliver(now=lambda: at)


def actions(hook: Hook) -> list[str]:
    return [body["event_action"] for body in hook.bodies]


def acknowledged(at: datetime) -> Alert:
    uuid = Alert.objects.get(ended_at=None).uuid
    return alert_acknowledge(principal=SYSTEM, uuid=uuid, hours=0, now=at)


def test_alert_is_one_incident_from_its_trigger_to_its_end(hook: Hook, settings: Any) -> None:
    settings.CONSOLE_URL = "https://pool.example"
    pager(hook.url)
    evaluated(T0, "fee_debt", count=3)
    acknowledged(T0 + MINUTE)
    for minute in (2, 20, 40):
        evaluated(T0 + minute * MINUTE, "fee_debt", count=3)
    evaluated(T0 + HOUR)

    assert actions(hook) == ["trigger", "acknowledge", "resolve"]
    key = f"poolsite-{Alert.objects.get().uuid}"
    assert {(body["routing_key"], body["dedup_key"]) for body in hook.bodies} == {(KEY, key)}
    first, *rest = hook.bodies
    assert all("payload" not in body for body in rest)
    shown = {
        "summary": "[testnet] Critical: fee_debt is wrong",
        "source": "testnet",
        "severity": "critical",
        "timestamp": T0.isoformat(),
        "class": "fee_debt",
    }
    assert shown.items() <= first["payload"].items()
    assert first["payload"]["custom_details"]["count"] == 3
    assert (first["client"], first["client_url"]) == ("Poolsite", "https://pool.example/miners/")
    assert "10.0.0.7" not in json.dumps(hook.bodies)


def test_incident_that_became_worse_is_opened_anew(hook: Hook) -> None:
    pager(hook.url)
    evaluated(T0, "fee_debt")
    acknowledged(T0 + MINUTE)
    evaluated(T0 + MINUTE, "fee_debt")
    evaluated(T0 + 2 * MINUTE, "fee_debt", count=2)

    assert actions(hook) == ["trigger", "acknowledge", "resolve", "trigger"]
    acknowledged(T0 + 3 * MINUTE)
    evaluated(T0 + 3 * MINUTE, "fee_debt", count=2)
    assert actions(hook)[4:] == ["acknowledge"]


def test_incident_whose_acknowledgement_was_ended_is_opened_anew(hook: Hook) -> None:
    pager(hook.url)
    evaluated(T0, "fee_debt")
    alert = acknowledged(T0 + MINUTE)
    evaluated(T0 + MINUTE, "fee_debt")
    alert_acknowledgement_end(principal=SYSTEM, uuid=alert.uuid, now=T0 + 2 * MINUTE)
    for minute in (3, 16, 40):
        evaluated(T0 + minute * MINUTE, "fee_debt")

    assert actions(hook) == ["trigger", "acknowledge", "resolve", "trigger", "trigger"]


def test_other_channels_hear_nothing_of_an_acknowledgement(hook: Hook) -> None:
    channel("hook", target=hook.url)
    evaluated(T0, "fee_debt")
    acknowledged(T0)
    evaluated(T0 + MINUTE, "fee_debt")

    assert [body["event"] for body in hook.bodies] == ["started"]
    assert hook.bodies[0]["alert"] == str(Alert.objects.get().uuid)


def test_test_opens_an_incident_and_resolves_it(hook: Hook) -> None:
    row = pager(hook.url)
    channel_test(principal=SYSTEM, channel=row, now=T0)
    notifications_deliver(now=lambda: T0)

    assert actions(hook) == ["trigger", "resolve"]
    assert {body["dedup_key"] for body in hook.bodies} == {f"poolsite-test-{row.uuid}"}
    assert hook.bodies[0]["payload"]["severity"] == "info"


def test_events_of_one_notification_share_the_time_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, times = [0.0], []

    def slow(*_given: Any, answer_s: float, **_how: Any) -> tuple[int, bytes]:
        times.append(answer_s)
        clock[0] += 10
        return 202, b""

    monkeypatch.setattr(outgoing, "url_open", slow)
    monkeypatch.setattr(outgoing, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    notification_send(channel_test(principal=SYSTEM, channel=pager(), now=T0))

    assert times == [15.0, 5.0]


def test_refusal_is_shown_in_the_services_words_without_the_key(hook: Hook) -> None:
    hook.status = 400
    text = {
        "status": "invalid event",
        "message": "Event object is invalid",
        "errors": ["'routing_key' is bad"],
    }
    hook.answer = lambda _body: json.dumps(text).encode()
    pager(hook.url)
    evaluated(T0, "fee_debt")

    error = vars(channels_visible(SYSTEM).get())["last_error"]
    assert error == "HTTP status 400: Event object is invalid, 'routing_key' is bad"
    for answer in (b"[]", b"<html>", b'{"errors": 5}'):
        hook.answer = lambda _body, answer=answer: answer  # type: ignore[misc]  # a default
        Notification.objects.update(next_try_at=T0)
        notifications_deliver(now=lambda: T0)
        assert Notification.objects.get().error == "HTTP status 400"


def test_process_that_dies_between_two_events_sends_both_again(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    pager(hook.url)
    evaluated(T0, "fee_debt")
    acknowledged(T0)
    evaluated(T0 + MINUTE, "fee_debt")
    told(T0 + 2 * MINUTE, "fee_debt", count=2)
    send = notification_send

    def dies(row: Notification) -> None:
        send(row)
        raise SystemExit

    monkeypatch.setattr(deliver, "notification_send", dies)
    with pytest.raises(SystemExit):
        notifications_deliver(now=lambda: T0 + 2 * MINUTE)
    monkeypatch.setattr(deliver, "notification_send", send)
    notifications_deliver(now=lambda: T0 + 2 * MINUTE + CLAIM)

    assert actions(hook)[2:] == ["resolve", "trigger"] * 2
    assert len({body["dedup_key"] for body in hook.bodies}) == 1


def test_key_is_needed_encrypted_and_never_shown() -> None:
    with pytest.raises(BadValue) as refused:
        pager(secret="")
    assert refused.value.field == "secret"
    row = pager(tenant=tenant("alice"))

    assert text_decrypt(row.target) == EVENTS_URL
    assert (text_decrypt(row.secret), KEY in row.secret) == (KEY, False)
    assert target_shown(row) == "https://events.pagerduty.com/…"


def test_page_adds_pagerduty_with_its_key_alone() -> None:
    operator_person()
    page = signed_in("olga")
    form = {"name": "pager", "kind": "PAGERDUTY", "target": "", "repeat_s": "900"}

    refused = page.post(reverse("alert-channel-new"), form)
    assert (refused.status_code, "enter the integration key" in text_of(refused)) == (422, True)
    assert page.post(reverse("alert-channel-new"), {**form, "secret": KEY}).status_code == 302
    text = text_of(page.get(reverse("alerts")))
    assert "PagerDuty: https://events.pagerduty.com/…" in text
    assert KEY not in text
    assert page.post(reverse("alert-channel-new"), {**form, "kind": "WEBHOOK"}).status_code == 422
