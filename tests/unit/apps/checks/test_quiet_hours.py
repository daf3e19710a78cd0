"""Quiet hours: what is not critical waits for their end, and is told then once, in one message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.translation import override

from apps.checks.models import AlertChannel, Notification
from apps.checks.selectors.quiet_hours import quiet_until
from apps.checks.services import deliver, quiet_hours
from apps.checks.services.channels import CLAIM, channel_change
from apps.checks.services.deliver import notifications_deliver
from apps.checks.services.quiet_hours import quiet_hours_end
from apps.core.errors import BadValue
from apps.core.reasons import shown_text
from apps.users.rules.principals import SYSTEM
from tests.alerts import channel, told

pytestmark = pytest.mark.django_db

NIGHT = datetime(2026, 11, 21, 23, tzinfo=UTC)
MORNING = datetime(2026, 11, 22, 7, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 24, 21, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOURS = {"quiet_from": "22:00", "quiet_to": "07:00"}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of what was sent."""
    texts: list[str] = []
    monkeypatch.setattr(deliver, "notification_send", lambda row: texts.append(row.text))
    return texts


def deliver_at(at: datetime) -> None:
    notifications_deliver(now=lambda: at)


@pytest.mark.parametrize(
    ("begins", "ends", "zone", "at", "until"),
    [
        ("22:00", "07:00", "", NIGHT, MORNING),
        ("22:00", "07:00", "", MORNING, None),
        ("22:00", "07:00", "", MORNING - MINUTE, MORNING),
        ("22:00", "07:00", "", NIGHT - 61 * MINUTE, None),
        ("09:00", "17:00", "", NIGHT, None),
        ("06:00", "08:00", "Asia/Shanghai", NIGHT, datetime(2026, 11, 22, 0, tzinfo=UTC)),
        # The night in which clocks go back has 25 hours.
        (
            "22:00",
            "07:00",
            "Europe/Berlin",
            datetime(2026, 10, 24, 21, tzinfo=UTC),
            datetime(2026, 10, 25, 6, tzinfo=UTC),
        ),
    ],
)
def test_end_of_the_hours(begins: str, ends: str, zone: str, at: datetime, until: datetime | None) -> None:
    row = AlertChannel(quiet_from=begins, quiet_to=ends, quiet_zone=zone)

    assert quiet_until(row, now=at) == until


def test_what_falls_into_them_is_told_at_their_end_in_one_message(sent: list[str]) -> None:
    channel(**HOURS)
    channel("awake")
    told(NIGHT, "hosts_paused")
    told(NIGHT + MINUTE, "hosts_paused", "hosts_slow")
    told(NIGHT + 2 * MINUTE, "hosts_slow")
    deliver_at(NIGHT + 3 * MINUTE)
    assert [text for text in sent if "hosts_slow is wrong" in text] == [
        "[testnet] Warning: hosts_slow is wrong"
    ]
    sent.clear()
    deliver_at(MORNING - MINUTE)
    assert sent == []

    deliver_at(MORNING)
    deliver_at(MORNING + MINUTE)

    [text] = sent
    assert text.splitlines() == [
        "[testnet] 2 notifications of the quiet hours since 2026-11-21 23:01 UTC:",
        "- Warning: hosts_slow is wrong",
        "- Resolved: hosts_paused is wrong",
    ]
    row = Notification.objects.get(event="SUMMARY")
    assert [one["check"] for one in row.body["notifications"]] == ["hosts_slow", "hosts_paused"]
    assert set(Notification.objects.filter(told_in=row.uuid).values_list("delivered_at", flat=True)) == {
        MORNING
    }
    ended = told(MORNING + 2 * MINUTE)
    assert sorted(ended) == [("awake", "ENDED", "hosts_slow"), ("ops", "ENDED", "hosts_slow")]


def test_one_alone_is_told_as_it_is(sent: list[str]) -> None:
    channel(**HOURS)
    told(NIGHT, "hosts_paused")
    deliver_at(MORNING)

    assert sent == ["[testnet] Warning: hosts_paused is wrong"]


def test_critical_checks_do_not_wait_unless_the_operator_says_so(sent: list[str]) -> None:
    channel("ops", **HOURS)
    channel("asleep", quiet_critical=True, **HOURS)
    told(NIGHT, "fee_debt", "hosts_paused")
    deliver_at(NIGHT)

    assert sent == ["[testnet] Critical: fee_debt is wrong"]
    sent.clear()
    deliver_at(MORNING)
    assert len(sent) == 2
    assert sum("fee_debt" in text for text in sent) == 1


def test_what_becomes_critical_is_told_at_once_and_not_again(
    sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel(**HOURS)
    told(NIGHT, "fee_debt", "hosts_paused")
    Notification.objects.filter(alert__check_name="fee_debt").update(is_held=True, next_try_at=MORNING)

    assert told(NIGHT + MINUTE, "fee_debt", "hosts_paused") == [("ops", "STARTED", "fee_debt")]
    assert told(NIGHT + 2 * MINUTE, "fee_debt", "hosts_paused") == []
    deliver_at(NIGHT + 2 * MINUTE)
    deliver_at(MORNING)
    assert sent == ["[testnet] Critical: fee_debt is wrong", "[testnet] Warning: hosts_paused is wrong"]


def test_a_kill_between_the_steps_neither_loses_nor_repeats_it(
    sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel(**HOURS)
    told(NIGHT, "hosts_paused", "hosts_slow")

    def killed(*_args: Any, **_values: Any) -> Any:
        raise SystemExit

    build: Callable[..., Any] = quiet_hours._summary
    monkeypatch.setattr(quiet_hours, "_summary", killed)
    with pytest.raises(SystemExit):
        quiet_hours_end(now=MORNING)
    assert Notification.objects.filter(is_held=True).count() == 2
    monkeypatch.setattr(quiet_hours, "_summary", build)
    quiet_hours_end(now=MORNING)
    quiet_hours_end(now=MORNING)
    deliver_at(MORNING)

    assert len(sent) == 1
    assert Notification.objects.filter(event="SUMMARY").count() == 1


def test_hours_that_are_taken_away_release_what_waits(sent: list[str]) -> None:
    row = channel(**HOURS)
    told(NIGHT, "hosts_paused")
    channel_change(principal=SYSTEM, channel=row, quiet_from="", quiet_to="")
    deliver_at(NIGHT + MINUTE)

    assert sent == ["[testnet] Warning: hosts_paused is wrong"]


def test_a_summary_has_critical_checks_first_and_is_as_urgent() -> None:
    channel(quiet_critical=True, **HOURS)
    told(NIGHT, "hosts_paused")
    told(NIGHT + MINUTE, "hosts_paused", "fee_debt")
    quiet_hours_end(now=MORNING)

    row = Notification.objects.get(event="SUMMARY")
    assert row.text.splitlines()[0].endswith("since 2026-11-21 23:00 UTC:")
    assert row.text.splitlines()[1:] == ["- Critical: fee_debt is wrong", "- Warning: hosts_paused is wrong"]
    with override("zh-hans"):
        assert shown_text(row.text).splitlines()[1].startswith("- 严重")
    assert (row.body["severity"], row.body["notifications"][0]["check"]) == ("critical", "fee_debt")
    assert row.body["page"].endswith("/alerts/")
    Notification.objects.filter(pk=row.pk).update(next_try_at=MORNING + timedelta(minutes=50), attempts=7)
    deliver_at(MORNING + MINUTE)
    row.refresh_from_db()
    assert row.next_try_at == MORNING + MINUTE + CLAIM


def test_an_unsent_summary_is_told_anew_once_the_channel_is_on_again() -> None:
    row = channel(repeat_s=86400, **HOURS)
    told(NIGHT, "hosts_paused", "hosts_slow")
    quiet_hours_end(now=MORNING)
    channel_change(principal=SYSTEM, channel=row, enabled=False)
    assert not Notification.objects.exists()
    channel_change(principal=SYSTEM, channel=row, enabled=True)

    assert told(MORNING + MINUTE, "hosts_paused") == [("ops", "STARTED", "hosts_paused")]


def test_a_channel_removed_while_its_hours_end_stops_no_other() -> None:
    row = channel(**HOURS)
    told(NIGHT, "hosts_paused")
    gone = AlertChannel.objects.get(pk=row.pk)
    row.delete()

    quiet_hours._release(gone, now=MORNING)
    assert not Notification.objects.exists()


def test_pagerduty_has_hours_of_its_own() -> None:
    with pytest.raises(BadValue, match="schedules of its own") as refused:
        channel("pager", "", kind="PAGERDUTY", secret="key", **HOURS)

    assert refused.value.field == "quiet_from"
