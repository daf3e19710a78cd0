"""Channels that are switched off and on again: told what is true then, and nothing that is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.checks.models import Notification
from apps.checks.services import deliver
from apps.checks.services.channels import channel_set
from apps.checks.services.deliver import notifications_deliver
from apps.users.rules.principals import SYSTEM
from tests.alerts import HOUR, T0, channel, told
from tests.page_client import signed_in, text_of
from tests.people import operator_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of what was sent."""
    texts: list[str] = []
    monkeypatch.setattr(deliver, "notification_send", lambda row: texts.append(row.text))
    return texts


def test_what_waits_for_a_channel_is_dropped_when_it_is_switched_off(sent: list[str]) -> None:
    row = channel()
    told(T0, "fee_debt")
    channel_set(principal=SYSTEM, channel=row, is_enabled=False)
    told(T0 + HOUR)
    channel_set(principal=SYSTEM, channel=row, is_enabled=True)

    assert told(T0 + 2 * HOUR) == []
    assert notifications_deliver(now=lambda: T0 + 2 * HOUR) == 0
    assert sent == []


def test_a_check_that_still_fails_is_told_of_when_its_channel_is_on_again() -> None:
    row = channel()
    told(T0, "fee_debt")
    channel_set(principal=SYSTEM, channel=row, is_enabled=False)
    channel_set(principal=SYSTEM, channel=row, is_enabled=True)

    assert told(T0 + timedelta(minutes=1), "fee_debt") == [("ops", "STARTED", "fee_debt")]


def test_a_check_that_passed_while_its_channel_was_off_is_told_of_once(sent: list[str]) -> None:
    row = channel()
    told(T0, "fee_debt")
    notifications_deliver(now=lambda: T0)
    channel_set(principal=SYSTEM, channel=row, is_enabled=False)
    assert told(T0 + HOUR) == []
    channel_set(principal=SYSTEM, channel=row, is_enabled=True)

    assert told(T0 + 240 * HOUR) == [("ops", "ENDED", "fee_debt")]
    assert told(T0 + 241 * HOUR) == []
    notifications_deliver(now=lambda: T0 + 241 * HOUR)
    assert [text.split(": ")[0] for text in sent] == ["[testnet] Critical", "[testnet] Resolved"]


@pytest.mark.usefixtures("sent")
def test_a_check_that_fails_anew_is_not_called_passed() -> None:
    row = channel(repeat_s=86_400)
    told(T0, "hosts_paused")
    notifications_deliver(now=lambda: T0)
    channel_set(principal=SYSTEM, channel=row, is_enabled=False)
    told(T0 + timedelta(minutes=10))
    told(T0 + timedelta(minutes=20), "hosts_paused")
    channel_set(principal=SYSTEM, channel=row, is_enabled=True)

    assert told(T0 + timedelta(minutes=30), "hosts_paused") == []
    assert told(T0 + 24 * HOUR, "hosts_paused") == [("ops", "STARTED", "hosts_paused")]
    assert told(T0 + 25 * HOUR) == [("ops", "ENDED", "hosts_paused")], "once, not for the first alert, too"
    assert told(T0 + 26 * HOUR) == []


@pytest.mark.usefixtures("sent")
def test_a_check_that_failed_anew_meanwhile_and_passes_is_told_of_once() -> None:
    row = channel(repeat_s=86_400)
    told(T0, "hosts_paused")
    notifications_deliver(now=lambda: T0)
    channel_set(principal=SYSTEM, channel=row, is_enabled=False)
    told(T0 + timedelta(minutes=10))
    told(T0 + timedelta(minutes=20), "hosts_paused")
    channel_set(principal=SYSTEM, channel=row, is_enabled=True)
    told(T0 + timedelta(minutes=30), "hosts_paused")

    assert told(T0 + HOUR) == [("ops", "ENDED", "hosts_paused")]
    assert told(T0 + 2 * HOUR) == []


def test_a_notification_that_waited_longer_than_a_day_is_not_sent(sent: list[str]) -> None:
    channel()
    told(T0, "fee_debt")

    assert notifications_deliver(now=lambda: T0 + 25 * HOUR) == 0
    assert sent == []
    assert Notification.objects.get().next_try_at is None


@pytest.mark.parametrize(
    ("enabled", "recipients"),
    [
        ([], "Nobody is notified: add a channel."),
        ([False], "Nobody is notified: every channel is off."),
        ([False, True], "Notifications go to 1 channel."),
    ],
)
def test_page_counts_the_channels_that_are_on(enabled: list[bool], recipients: str) -> None:
    operator_person()
    for number, is_enabled in enumerate(enabled):
        row = channel(f"ops {number}")
        if not is_enabled:
            channel_set(principal=SYSTEM, channel=row, is_enabled=False)

    assert recipients in text_of(signed_in("olga").get("/alerts/"))
