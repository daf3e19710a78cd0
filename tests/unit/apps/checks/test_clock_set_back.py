"""A clock that was ahead and is right again: what it wrote silences no alert and stops no channel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.checks.models import Notification
from apps.checks.services.deliver import notifications_deliver
from tests.alerts import HOUR, T0, Hook, channel, told

pytestmark = pytest.mark.django_db
YEAR = timedelta(days=365)
MINUTE = timedelta(minutes=1)


def test_check_that_fails_anew_is_told_though_told_in_the_future() -> None:
    channel()
    told(T0 + YEAR, "fee_debt")
    told(T0)

    assert told(T0 + HOUR, "fee_debt") == [("ops", "STARTED", "fee_debt")]


def test_check_that_still_fails_is_repeated_though_told_in_the_future() -> None:
    channel()
    told(T0 + YEAR, "backups_old")

    assert told(T0, "backups_old") == [("ops", "REPEATED", "backups_old")]
    assert told(T0 + MINUTE, "backups_old") == []


def test_processes_whose_clocks_differ_a_little_do_not_repeat_each_other() -> None:
    channel()
    told(T0 + MINUTE, "fee_debt")

    assert told(T0, "fee_debt") == []


@pytest.mark.parametrize("check", ["fee_debt", "backups_old"])
def test_what_is_due_in_the_far_future_does_not_stop_its_channel(hook: Hook, check: str) -> None:
    channel(target=hook.url)
    told(T0 + YEAR, check)
    told(T0)

    notifications_deliver(now=lambda: T0)
    notifications_deliver(now=lambda: T0 + 2 * MINUTE)

    assert [body["event"] for body in hook.bodies] == ["started", "ended"]
    assert not Notification.objects.exclude(next_try_at=None).exists()


def test_channel_that_is_removed_while_its_turn_comes_stops_no_other(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        channel(name, target=hook.url)
    told(T0, "fee_debt")
    claimed = Notification.objects.order_by("pk").first()
    assert claimed is not None
    sends = type(Notification.objects.all()).select_related
    gone: list[Any] = []

    def removed_meanwhile(rows: Any, *names: Any) -> Any:
        if names == ("channel",) and not gone:
            gone.append(claimed.channel.delete())
        return sends(rows, *names)

    monkeypatch.setattr(type(Notification.objects.all()), "select_related", removed_meanwhile)

    assert notifications_deliver(now=lambda: T0) == 1
