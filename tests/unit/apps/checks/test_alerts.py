"""Alerts: one notification when a check starts failing, one when it ends, delivered though processes die."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from django.utils.translation import override

from apps.checks.findings.results import Finding, Link
from apps.checks.models import Alert, AlertChannel, Notification
from apps.checks.reasons import HOSTS_AWAY, SEE_LOG
from apps.checks.report.report import Report, Result
from apps.checks.selectors.alerts import channels_undelivered
from apps.checks.services import deliver
from apps.checks.services.alerts import alerts_update
from apps.checks.services.channels import CLAIM, channel_set
from apps.checks.services.deliver import notifications_deliver
from apps.checks.services.outgoing import notification_send
from apps.checks.states import ChannelKind
from apps.checks.table.checks import CHECKS
from apps.checks.tasks import alerts_run
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.core.reasons import shown_text
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from poolsite import celery
from poolsite.settings.environment import email_from_url
from tests import factories
from tests.alerts import HOUR, T0, Hook, channel, report_of, told
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person, principal

pytestmark = pytest.mark.django_db


def test_one_notification_when_a_check_starts_and_one_when_it_ends() -> None:
    channel()

    assert told(T0, "fee_debt") == [("ops", "STARTED", "fee_debt")]
    assert told(T0 + timedelta(seconds=15), "fee_debt") == []
    assert told(T0 + timedelta(seconds=30)) == [("ops", "ENDED", "fee_debt")]
    assert told(T0 + timedelta(seconds=45)) == []
    alert = Alert.objects.get()
    assert (alert.since, alert.ended_at) == (T0, T0 + timedelta(seconds=30))


def found_away(*, now: datetime, before: str = "") -> list[Notification]:
    """Evaluate the checks with two hosts away; `before`: what a version without codes would have kept."""
    if before:
        Alert.objects.update(say=before)
    finding = Finding("away", HOSTS_AWAY(away="rack-a, rack-b"), count=2)
    results = tuple(Result(one, (finding,) if one.name == "hosts_away" else ()) for one in CHECKS)
    return alerts_update(report=Report(T0, results), pool="testnet", now=now)


def test_an_older_alert_gets_its_code_and_is_not_told_anew() -> None:
    channel()
    assert len(found_away(now=T0)) == 1

    assert found_away(now=T0 + timedelta(seconds=15), before="rack-a, rack-b offline") == []

    [alert] = Alert.objects.all()
    assert (alert.say, alert.say.code) == ("rack-a, rack-b offline", "checks.hosts_away")
    [line] = alert.entries.all()
    assert (line.kind, line.text, line.text.code) == ("STARTED", alert.say, "checks.hosts_away")
    [notification] = Notification.objects.all()
    assert notification.text == "[testnet] Warning: rack-a, rack-b offline"
    with override("zh-hans"):
        assert shown_text(alert.say) == "rack-a, rack-b 离线"


def test_what_is_told_at_the_end_names_what_was_found() -> None:
    channel()
    told(T0, "fee_debt")
    told(T0 + HOUR)

    assert Notification.objects.get(event="ENDED").text == "[testnet] Resolved: fee_debt is wrong"


def test_link_leads_to_the_object_if_it_is_one_alone(settings: Any) -> None:
    settings.CONSOLE_URL = "https://pool.example"
    channel()
    links = [Link("miner", (name,)) for name in ("f01000", "f01001")]
    pages: list[str] = []
    for found in ([links[0]], [links[0], links[0]], links):
        findings = tuple(Finding(f"f{at}", "it owes", link=link) for at, link in enumerate(found))
        results = tuple(Result(one, findings if one.name == "fee_debt" else ()) for one in CHECKS)
        rows = alerts_update(report=Report(T0, results), pool="testnet", now=T0 + len(pages) * HOUR)
        pages.append(rows[0].body["page"])

    assert pages == ["https://pool.example/miners/f01000/"] * 2 + ["https://pool.example/miners/"]


def test_failing_check_is_repeated_not_more_often_than_the_setting() -> None:
    channel(repeat_s=3600)
    events = [
        event for minute in range(0, 190, 10) for event in told(T0 + timedelta(minutes=minute), "fee_debt")
    ]

    assert [event for _, event, _ in events] == ["STARTED", "REPEATED", "REPEATED", "REPEATED"]


def flapped(name: str) -> list[tuple[int, str]]:
    """What an hour brings in which a check fails every other minute."""
    events = []
    for minute in range(60):
        failing = [name] if minute % 2 == 0 else []
        events += [(minute, event) for _, event, _ in told(T0 + timedelta(minutes=minute), *failing)]
    return events


def test_flapping_warning_is_told_once_an_hour() -> None:
    channel(repeat_s=3600)

    assert flapped("hosts_paused") == [(0, "STARTED"), (1, "ENDED")]
    assert told(T0 + HOUR, "hosts_paused") == [("ops", "STARTED", "hosts_paused")]


def test_flapping_critical_check_is_told_once_in_15_minutes() -> None:
    channel(repeat_s=24 * 3600)
    starts = [(minute, "STARTED") for minute in (0, 16, 32, 48)]

    assert flapped("fee_debt") == sorted(starts + [(minute + 1, "ENDED") for minute, _ in starts])


def test_critical_check_that_fails_anew_is_told_after_15_minutes() -> None:
    channel(repeat_s=24 * 3600)
    minute = timedelta(minutes=1)
    for at, failing in ((0, True), (5, False), (6, True)):
        told(T0 + at * minute, *(["fee_debt", "hosts_paused"] if failing else []))

    assert told(T0 + 14 * minute, "fee_debt", "hosts_paused") == []
    assert told(T0 + 15 * minute, "fee_debt", "hosts_paused") == [("ops", "STARTED", "fee_debt")]
    assert told(T0 + 12 * HOUR, "fee_debt", "hosts_paused") == []


def test_critical_check_that_becomes_worse_is_told_after_15_minutes() -> None:
    channel(repeat_s=24 * 3600)
    minute, failing = timedelta(minutes=1), ("sectors_faulty", "hosts_paused")
    repeated = [("ops", "REPEATED", "sectors_faulty")]
    told(T0, *failing)

    assert told(T0 + 14 * minute, *failing, count=50_000) == []
    assert told(T0 + 15 * minute, *failing, count=50_000) == repeated
    assert told(T0 + 40 * minute, *failing, count=62_499) == [], "a few more each minute are not told of"
    assert told(T0 + 41 * minute, *failing, count=62_500) == repeated
    assert told(T0 + 60 * minute, *failing, count=62_500) == []


def test_channel_for_critical_checks_hears_of_no_warnings() -> None:
    channel("urgent", critical_only=True)
    channel("all")

    assert sorted(told(T0, "fee_debt", "hosts_paused")) == [
        ("all", "STARTED", "fee_debt"),
        ("all", "STARTED", "hosts_paused"),
        ("urgent", "STARTED", "fee_debt"),
    ]
    assert sorted(told(T0 + HOUR / 2, "fee_debt")) == [("all", "ENDED", "hosts_paused")]


def test_channel_added_later_hears_of_what_still_fails() -> None:
    assert told(T0, "fee_debt") == []
    channel("late")

    assert told(T0 + timedelta(seconds=15), "fee_debt") == [("late", "STARTED", "fee_debt")]


def test_webhook_gets_a_signed_body_without_secrets(hook: Hook, settings: Any) -> None:
    settings.CONSOLE_URL = "https://pool.example"
    channel(target=hook.url, secret="k3y")
    alerts_update(report=report_of("fee_debt"), pool="testnet", now=T0)

    assert notifications_deliver(now=lambda: T0) == 1

    [(headers, raw)] = hook.got
    body = json.loads(raw)
    assert headers["X-Poolsite-Signature"] == "sha256=" + hmac.new(b"k3y", raw, "sha256").hexdigest()
    assert (body["event"], body["check"], body["severity"]) == ("started", "fee_debt", "critical")
    assert body["text"] == "[testnet] Critical: fee_debt is wrong"
    assert body["page"] == "https://pool.example/miners/"
    assert not [word for word in ("10.0.0.7", "token", "k3y", hook.url) if word in raw.decode()]
    row = Notification.objects.get()
    assert (row.delivered_at, row.next_try_at, body["id"]) == (T0, None, str(row.uuid))


def test_delivery_is_retried_with_backoff_in_order_until_it_works(hook: Hook) -> None:
    hook.status = 503
    channel(target=hook.url)
    alerts_update(report=report_of("fee_debt"), pool="testnet", now=T0)
    alerts_update(report=report_of(), pool="testnet", now=T0 + timedelta(seconds=1))
    at = T0 + timedelta(seconds=2)

    assert notifications_deliver(now=lambda: at) == 0
    assert notifications_deliver(now=lambda: at) == 0
    assert len(hook.got) == 1, "the second waits for the first, and that for its backoff"
    row = Notification.objects.order_by("pk")[0]
    assert (row.attempts, row.error, row.next_try_at) == (1, "HTTP status 503", at + deliver.BACKOFF)

    hook.status = 204
    assert notifications_deliver(now=lambda: at + deliver.BACKOFF) == 2
    assert [body["event"] for body in hook.bodies] == ["started", "started", "ended"]
    assert hook.bodies[0]["id"] == hook.bodies[1]["id"]


def test_a_critical_notification_waits_a_minute_for_one_that_backs_off(hook: Hook) -> None:
    hook.status = 503
    channel(target=hook.url)
    alerts_update(report=report_of("hosts_paused"), pool="testnet", now=T0)
    for hours in range(12):
        notifications_deliver(now=lambda hours=hours: T0 + hours * HOUR)  # type: ignore[misc]  # a default
    at, minute = T0 + 11 * HOUR, timedelta(minutes=1)
    assert Notification.objects.get().next_try_at == at + HOUR

    alerts_update(report=report_of("hosts_paused", "fee_debt"), pool="testnet", now=at)
    assert notifications_deliver(now=lambda: at) == 0
    assert notifications_deliver(now=lambda: at + minute) == 0, "it is still down"
    hook.status = 204

    assert notifications_deliver(now=lambda: at + minute) == 0
    assert notifications_deliver(now=lambda: at + 2 * minute) == 3
    assert "fee_debt" in {body["check"] for body in hook.bodies[-2:]}


@pytest.mark.parametrize("check", ["hosts_paused", "fee_debt"])
def test_delivery_is_tried_until_the_end_of_its_day(hook: Hook, check: str) -> None:
    hook.status = 503
    channel(target=hook.url)
    alerts_update(report=report_of(check), pool="testnet", now=T0)
    row, minute = Notification.objects.get(), timedelta(minutes=1)
    for at in (*range(0, 22 * 60, 60), *range(22 * 60, 24 * 60 - 1)):
        notifications_deliver(now=lambda at=at: T0 + at * minute)  # type: ignore[misc]  # a default
    row.refresh_from_db()
    assert row.next_try_at == T0 + 24 * HOUR - minute
    assert (row.attempts < 40) is (check == "hosts_paused"), "critical ones each minute"

    hook.status = 204

    assert notifications_deliver(now=lambda: T0 + 24 * HOUR - minute) == 1


def test_channel_that_is_down_delays_no_other(hook: Hook) -> None:
    channel("down", target="http://127.0.0.1:9/")
    channel("up", target=hook.url)
    alerts_update(report=report_of("fee_debt", "hosts_paused"), pool="testnet", now=T0)

    assert notifications_deliver(now=lambda: T0) == 2
    assert [row.name for row in channels_undelivered(T0)] == []
    for hours in range(1, 30):
        notifications_deliver(now=lambda hours=hours: T0 + hours * HOUR)  # type: ignore[misc]  # a default

    left = Notification.objects.filter(channel__name="down")
    assert {(row.delivered_at, row.next_try_at) for row in left} == {(None, None)}, "given up after a day"
    assert [row.name for row in channels_undelivered(T0 + 2 * HOUR)] == ["down"]


def test_channel_that_fails_unforeseen_delays_no_other_and_is_named(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = notification_send

    def fails(row: Notification) -> None:
        if row.channel.name == "odd":
            raise ValueError("the settings contradict each other")
        send(row)

    monkeypatch.setattr(deliver, "notification_send", fails)
    channel("odd")
    channel("up", target=hook.url)
    alerts_update(report=report_of("fee_debt"), pool="testnet", now=T0)

    assert [notifications_deliver(now=lambda at=at: T0 + at * HOUR) for at in range(3)] == [1, 0, 0]  # type: ignore[misc]  # a default

    assert [row.name for row in channels_undelivered(T0)] == ["odd"]
    error = Notification.objects.get(channel__name="odd").error
    assert (error, SEE_LOG.made(error)) == ("ValueError: see the log", True)


def test_webhook_gets_name_and_password_of_its_url(hook: Hook) -> None:
    channel(target=hook.url.replace("http://", "http://ops:p%40ss@"))
    alerts_update(report=report_of("fee_debt"), pool="testnet", now=T0)

    assert notifications_deliver(now=lambda: T0) == 1

    [(headers, _)] = hook.got
    assert headers["Authorization"] == "Basic b3BzOnBAc3M=", "ops:p@ss"


def test_process_that_dies_while_sending_leaves_it_to_the_next(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel(target=hook.url)
    alerts_update(report=report_of("fee_debt"), pool="testnet", now=T0)
    send = notification_send

    def dies(row: Notification) -> None:
        send(row)
        raise SystemExit

    monkeypatch.setattr(deliver, "notification_send", dies)
    with pytest.raises(SystemExit):
        notifications_deliver(now=lambda: T0)
    monkeypatch.setattr(deliver, "notification_send", send)

    assert notifications_deliver(now=lambda: T0) == 0, "claimed by the process that died"
    assert notifications_deliver(now=lambda: T0 + CLAIM) == 1
    assert [body["id"] for body in hook.bodies] == [str(Notification.objects.get().uuid)] * 2


def test_email_names_check_and_page(settings: Any) -> None:
    settings.EMAIL_HOST = "localhost"
    channel("mail", "ops@example.com", kind=ChannelKind.EMAIL)
    alerts_update(report=report_of("fee_debt"), pool="testnet", now=T0)

    assert notifications_deliver(now=lambda: T0) == 1

    [message] = mail.outbox
    assert message.to == ["ops@example.com"]
    assert message.subject == "[testnet] Critical: fee_debt is wrong"
    assert message.body.splitlines() == [
        "Failing since 2026-11-21 12:00 UTC. Condition: No miner owes fees",
        "",
        "- fee_debt is wrong",
        "",
        "Details: /miners/",
    ]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"target": "ftp://x"}, "target"),
        ({"target": "https://"}, "target"),
        ({"target": "http://h:99999/"}, "target"),
        ({"kind": ChannelKind.EMAIL, "target": "ops@example.com"}, "target"),
        ({"kind": "FAX"}, "kind"),
        ({"name": " "}, "name"),
        ({"repeat_s": 1}, "repeat_s"),
    ],
)
def test_bad_channel_is_refused_with_its_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(BadValue) as refused:
        channel(**values)

    assert refused.value.field == field
    assert not AlertChannel.objects.exists()


def test_channels_are_the_operators_and_names_are_unique() -> None:
    with pytest.raises(NotAllowed):
        channel(principal=principal())
    channel()
    with pytest.raises(Conflict):
        channel()


def test_channel_that_is_off_is_told_nothing() -> None:
    channel_set(principal=SYSTEM, channel=channel(), is_enabled=False)

    assert told(T0, "fee_debt") == []


def test_task_evaluates_writes_and_delivers(hook: Hook) -> None:
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000)
    factories.miner(3001, fee_debt=10**18)
    channel(target=hook.url)

    alerts_run()
    alerts_run()

    [debt] = [body for body in hook.bodies if body["check"] == "fee_debt"]
    assert debt["at_risk"] == str(10**18)
    assert "owes 1" in debt["text"]


def test_one_worker_of_several_sends_what_is_due_every_few_seconds(
    pool_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(celery.app, "send_task", lambda name, **_options: sent.append(name))

    for task, every_s in celery.PERIODIC * 2:
        celery.periodic_send(task, every_s)

    assert sent == [task for task, _every_s in celery.PERIODIC]


def test_mail_server_is_read_from_a_url() -> None:
    found = email_from_url("smtp://user:p%40ss@mail.example.com/?tls=1&from=pool@example.com")

    assert (found["EMAIL_HOST"], found["EMAIL_PORT"], found["EMAIL_USE_TLS"]) == (
        "mail.example.com",
        587,
        True,
    )
    assert (found["EMAIL_HOST_PASSWORD"], found["DEFAULT_FROM_EMAIL"]) == ("p@ss", "pool@example.com")
    assert email_from_url("")["EMAIL_HOST"] == ""
    for wrong in ("http://mail.example.com", "smtp://", "smtp://h:99999", "smtp://h/?tls=starttls"):
        with pytest.raises(ImproperlyConfigured):
            email_from_url(wrong)


@pytest.mark.parametrize(("url", "uses_ssl"), [("smtp://h/?tls=true", False), ("smtps://h/?tls=1", True)])
def test_mail_server_has_one_kind_of_tls(url: str, uses_ssl: bool) -> None:
    found = email_from_url(url)

    assert (found["EMAIL_USE_SSL"], found["EMAIL_USE_TLS"]) == (uses_ssl, not uses_ssl)


def test_pages_say_when_a_critical_check_is_reported_early(hook: Hook) -> None:
    operator_person()
    page, form = signed_in("olga"), {"kind": "WEBHOOK", "target": hook.url}
    for name, repeat_s in (("soon", "900"), ("daily", "86400")):
        page.post(reverse("alert-channel-new"), form | {"name": name, "repeat_s": repeat_s})

    text = text_of(page.get(reverse("alerts")))

    early = "that fail again or become worse: at most once every 15 min"
    assert f"each at most once every 24 h while it fails; critical ones {early}" in text
    assert text.count(early) == 1
    shown = text_of(page.get(reverse("alert-channel-new")))
    assert shown.count(f"Critical checks {early}") == 1


def test_page_adds_tests_switches_and_removes_a_channel(hook: Hook) -> None:
    operator_person()
    page = signed_in("olga")
    form = {"name": "ops", "kind": "WEBHOOK", "target": hook.url, "repeat_s": "900"}

    assert page.post(reverse("alert-channel-new"), {**form, "target": "x"}).status_code == 422
    assert page.post(reverse("alert-channel-new"), form).status_code == 302
    row = AlertChannel.objects.get()
    assert hook.url not in row.target
    text = text_of(page.get(reverse("alerts")))
    assert "ops" in text
    assert hook.url not in text

    for op in ("test", "disable", "enable"):
        assert page.post(reverse("alert-channel-act", args=[row.uuid, op])).status_code == 302
    notifications_deliver(now=lambda: datetime.now(UTC))
    assert [body["event"] for body in hook.bodies] == ["test"]
    assert "delivered" in text_of(page.get(reverse("alerts")))

    address = reverse("alert-channel-act", args=[row.uuid, "remove"])
    assert "Remove ops?" in text_of(page.post(address))
    assert page.post(address, {"sure": "yes"}).status_code == 302
    assert not AlertChannel.objects.exists()
    actions = AuditEntry.objects.filter(action__startswith="alerts.").order_by("pk")
    assert [line.action.rpartition(".")[2] for line in actions] == ["add", "test", "set", "set", "remove"]
    assert not [line for line in actions if hook.url in str(line.after) + str(line.before)]


def test_operators_alerts_are_hidden_from_tenants() -> None:
    channel()
    told(T0, "fee_debt")
    alert = Alert.objects.get()
    person(role="TENANT_ADMIN")
    page = signed_in()

    text = text_of(page.get(reverse("alerts")))
    assert not [word for word in ("fee_debt is wrong", "ops", "Alert channels") if word in text]
    assert "Nobody is notified: the tenant has no channel." in text
    assert page.get(reverse("alert", args=[alert.uuid])).status_code == 404
    assert (
        page.post(reverse("alert-act", args=[alert.uuid, "acknowledge"]), {"hours": "1"}).status_code == 404
    )
    assert page.get(reverse("alert-channel-new")).status_code == 404
