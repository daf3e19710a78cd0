"""A channel is told in its own language; what programs read stays English."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from django.core import mail

from apps.checks.findings.results import Finding, Link
from apps.checks.models import Alert, AlertChannel, Notification
from apps.checks.reasons import DEBT, NO_CHAIN, REQUESTS_FAILED, WINS_LOST
from apps.checks.report.report import Report
from apps.checks.services import push
from apps.checks.services.acknowledgements import (
    alert_acknowledge,
    alert_acknowledgement_end,
    alert_comment,
)
from apps.checks.services.alerts import alerts_update
from apps.checks.services.channels import channel_edit, channel_test
from apps.checks.services.deliver import notifications_deliver
from apps.checks.services.notification_texts import details_write, end_write, subject_write
from apps.checks.services.pagerduty import pagerduty_events_build
from apps.checks.services.push_services import PUSH_SERVICES
from apps.checks.states import AlertEvent, ChannelKind
from apps.core.errors import BadValue
from apps.core.reasons import counted
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from tests.alerts import T0, Hook, channel, report_of
from tests.chinese_rows import rows_in_chinese
from tests.page_words import latin_words
from tests.push_targets import POVER, target_of

pytestmark = pytest.mark.django_db

CHINESE: Final = "zh-hans"
MINUTE: Final = timedelta(minutes=1)
COLON: Final = "\N{FULLWIDTH COLON}"
OPEN, CLOSE = "\N{FULLWIDTH LEFT PARENTHESIS}", "\N{FULLWIDTH RIGHT PARENTHESIS}"
NIGHT: Final[dict[str, Any]] = {"quiet_from": "12:50", "quiet_to": "14:00", "quiet_critical": True}
NAMES: Final = frozenset({"Poolsite", "testnet", "FIL", "UTC", "system"})
"""The keyword that chats look for, the network, units, and who acts here."""


def failing(*, lost: int = 2, debt: bool = True) -> Report:
    """A signer that fails and loses wins, and a miner that owes fees, as the checks say it."""
    names = ["requests_failed", "wins_lost", *(["fee_debt"] if debt else [])]
    report = report_of(*names)
    wins = WINS_LOST(wins=counted(lost, "win"), group="f02001")
    found = {
        "requests_failed": Finding("signer", REQUESTS_FAILED(signers="s-1")),
        "wins_lost": Finding("wins", wins, count=lost, per_day=7 * 10**18, has_more=True),
        "fee_debt": Finding(
            "debt", DEBT(group="f02002", debt="3.5", count=1), link=Link("miner", ("f02002",)), at_risk=10**18
        ),
    }
    results = tuple(
        replace(one, findings=(found[one.check.name],)) if one.check.name in names else one
        for one in report.results
    )
    return replace(report, results=results, causes={"wins": "signer"})


def evaluated(minute: int, report: Report, pool: str = "testnet") -> None:
    alerts_update(report=report, pool=pool, now=T0 + minute * MINUTE)


def all_told(row: AlertChannel) -> None:
    """Send a channel each kind of event once, with an hour of quiet."""
    acting: dict[str, Any] = {"principal": SYSTEM, "now": T0 + 20 * MINUTE}
    evaluated(0, failing())
    evaluated(16, failing())
    alert = Alert.objects.get(check_name="requests_failed")
    alert_acknowledge(uuid=alert.uuid, hours=1, **acting)
    alert_comment(uuid=alert.uuid, text="我在看", **acting)
    alert_acknowledgement_end(uuid=alert.uuid, **acting)
    alert_acknowledge(uuid=alert.uuid, hours=1, **acting)
    evaluated(21, failing(lost=9))
    evaluated(22, report_of())
    evaluated(24, failing())
    channel_test(principal=SYSTEM, channel=row, now=T0 + 25 * MINUTE)
    with_effects = Alert.objects.get(check_name="requests_failed")
    alert_acknowledge(uuid=with_effects.uuid, hours=1, principal=SYSTEM, now=T0 + 26 * MINUTE)
    evaluated(90, failing())
    notifications_deliver(now=lambda: T0 + 130 * MINUTE)


def english_in(rows: list[Notification]) -> dict[str, set[str]]:
    """English words of title, text, cost and page, by event."""
    found: dict[str, set[str]] = {}
    for row in rows:
        subject = subject_write(row)
        whole = "\n".join((subject, details_write(row, subject=subject), end_write(row)))
        found[row.event] = found.get(row.event, set()) | latin_words(whole, names=NAMES)
    return {event: words for event, words in found.items() if words}


def test_each_kind_of_notification_is_chinese(hook: Hook, settings: Any) -> None:
    settings.CONSOLE_URL = "https://pool.example"
    target = hook.url.replace("/hook", "/hooks/slack")
    row = channel(target=target, language=CHINESE, repeat_s=900, with_actions=True, **NIGHT)

    all_told(row)

    rows = list(Notification.objects.select_related("channel"))
    assert {one.event for one in rows} == {str(one) for one in AlertEvent}
    assert english_in(rows) == {}
    texts = [body["text"] for body in hook.bodies]
    assert len(texts) > 8
    assert {text: words for text in texts if (words := latin_words(text, names=NAMES))} == {}
    stored = {text for text in rows_in_chinese() if "我在看" not in text}
    assert stored == set(), "what is stored, and goes to programs, is English"


def test_an_incident_is_told_with_its_cost_and_its_effects_in_chinese(settings: Any) -> None:
    settings.EMAIL_HOST, settings.CONSOLE_URL = "localhost", "https://pool.example"
    channel("mail", "ops@example.com", kind=ChannelKind.EMAIL, language=CHINESE)
    evaluated(0, failing())
    evaluated(1, report_of())
    notifications_deliver(now=lambda: T0 + MINUTE)

    told, over = (one for one in mail.outbox if "s-1" in one.subject)
    lost = f"f02001 丢块{OPEN}2 次出块权{CLOSE}"
    assert told.subject == f"[testnet] 严重{COLON}对 s-1 的请求失败。由此引起{COLON}{lost}"
    assert told.body.splitlines() == [
        f"自 2026-11-21 12:00 UTC 起未满足。条件{COLON}最近一小时没有对签名机的请求失败",
        *("", "- 对 s-1 的请求失败", ""),
        *(f"由此引起{COLON}", f"- {lost}", ""),
        *("至少 每天损失 7.0000 FIL", "", f"详情{COLON}https://pool.example/gateway/"),
    ]
    assert over.subject == over.body == f"[testnet] 已恢复{COLON}对 s-1 的请求失败"


def test_escalation_and_a_pool_without_a_chain_are_told_in_chinese() -> None:
    row = channel(language=CHINESE, wait_min=5)
    evaluated(0, failing(), pool=NO_CHAIN())
    evaluated(6, failing(), pool=NO_CHAIN())

    rows = list(row.notifications.select_related("channel"))
    assert len(rows) == 2
    assert english_in(rows) == {}


def test_titles_and_texts_in_chinese_fit_each_service(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, str]] = []

    def taken(request: dict[str, str]) -> dict[str, bool]:
        sent.append(request)
        return {"delivered": True}

    monkeypatch.setattr(push, "_child_run", taken)
    row = channel(kind=ChannelKind.APPRISE, target=POVER, language=CHINESE)
    evaluated(0, failing())
    told = row.notifications.select_related("channel").get(alert__check_name="requests_failed")

    for service in PUSH_SERVICES:
        assert push.push_send(told, url=target_of(service.name).url) == ""
        said = sent.pop()
        assert len(said["title"]) <= service.title_max
        assert len(said["text"].encode()) <= service.text_max
        assert latin_words(f"{said['title']}\n{said['text']}", names=NAMES) == set()


def test_programs_get_english_from_a_channel_in_chinese(hook: Hook) -> None:
    row = channel(target=hook.url, language=CHINESE)
    plain = channel("plain", target=f"{hook.url}/plain")
    evaluated(0, failing())
    channel_test(principal=SYSTEM, channel=row, now=T0)
    channel_test(principal=SYSTEM, channel=plain, now=T0)
    notifications_deliver(now=lambda: T0)

    bodies = [{name: value for name, value in one.items() if name != "id"} for one in hook.bodies]
    chinese = [body for path, body in zip(hook.requests, bodies, strict=True) if not path.endswith("plain")]
    english = [body for path, body in zip(hook.requests, bodies, strict=True) if path.endswith("plain")]
    assert len(chinese) == 3
    assert sorted(map(repr, chinese)) == sorted(map(repr, english))
    told = row.notifications.get(alert__check_name="requests_failed")
    event, *_ = pagerduty_events_build(told, key="k")
    assert event["payload"]["summary"].startswith("[testnet] Critical: requests to s-1 failed")


def test_a_language_is_kept_with_before_and_after() -> None:
    row = channel()
    assert row.language == "en"
    channel_edit(principal=SYSTEM, channel=row, language=CHINESE)

    row.refresh_from_db()
    assert row.language == CHINESE
    entry = AuditEntry.objects.latest("pk")
    assert (entry.before, entry.after) == ({"language": "en"}, {"language": CHINESE})


@pytest.mark.parametrize(
    ("kind", "language", "target"),
    [
        (ChannelKind.WEBHOOK, "fr", "https://chat.example.com/x"),
        (ChannelKind.PAGERDUTY, CHINESE, ""),
    ],
)
def test_a_language_that_cannot_be_is_refused(kind: str, language: str, target: str) -> None:
    with pytest.raises(BadValue) as refused:
        channel(kind=kind, language=language, target=target, secret="k")

    assert refused.value.field == "language"
    assert not AlertChannel.objects.exists()


def test_findings_without_codes_are_told_as_they_were_written() -> None:
    row = channel(language=CHINESE)
    evaluated(0, failing())
    Notification.objects.update(finding_codes=None)

    [_, told] = row.notifications.select_related("channel").order_by("pk")
    assert "- requests to s-1 failed" in details_write(told, subject="")
