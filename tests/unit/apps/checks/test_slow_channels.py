"""Channels that are slow or down delay no other channel, and are sent nothing twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from apps.checks import tasks
from apps.checks.models import Notification
from apps.checks.services import deliver
from apps.checks.services.deliver import notifications_deliver
from tests.alerts import T0, Hook, channel, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def slow() -> Iterator[Hook]:
    """A webhook that answers only once another one got its notification."""
    found = Hook()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_slow_channel_delays_no_other(hook: Hook, slow: Hook) -> None:
    other_was_told = threading.Event()

    def answer_late(_body: bytes) -> bytes:
        assert other_was_told.wait(10)
        return b""

    def answer_now(_body: bytes) -> bytes:
        other_was_told.set()
        return b""

    slow.answer, hook.answer = answer_late, answer_now
    channel("slow", slow.url)
    channel("quick", hook.url)
    told(T0, "fee_debt")

    assert notifications_deliver(now=lambda: T0) == 2


def noting(order: list[str], word: str) -> Callable[[bytes], bytes]:
    """Answer, and write down that it was asked."""

    def answer(_body: bytes) -> bytes:
        order.append(word)
        return b""

    return answer


def test_channel_that_failed_is_sent_to_after_the_others(
    hook: Hook, slow: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "SENT_MAX", 1)
    order: list[str] = []
    slow.answer = noting(order, "failing")
    hook.answer = noting(order, "good")
    channel("failing", slow.url)
    channel("good", hook.url)
    told(T0, "fee_debt")
    Notification.objects.filter(channel__name="failing").update(attempts=1)

    notifications_deliver(now=lambda: T0)

    assert order == ["good", "failing"]


def test_run_that_took_long_leaves_what_tenants_are_told_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, turns = [0.0], []
    monkeypatch.setattr(tasks, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(tasks, "tenants_alerts_update", lambda **_: [Notification()])

    for took, expected in ((1.0, 2), (30.0, 1)):

        def deliver_slowly(*, took: float = took, **_: Any) -> int:
            clock[0] += took
            turns.append(took)
            return 0

        monkeypatch.setattr(tasks, "notifications_deliver", deliver_slowly)
        tasks.alerts_run()
        assert turns.count(took) == expected


def test_long_queue_of_one_channel_ends_with_the_turn(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "TURN_S", 0.3)

    def answer_late(_body: bytes) -> bytes:
        time.sleep(0.2)
        return b""

    hook.answer = answer_late
    channel("ops", hook.url)
    told(T0, "fee_debt", "hosts_away", "nonce_gaps", "sectors_paused", "messages_stuck")

    sent = notifications_deliver(now=lambda: T0)

    assert 1 <= sent < 5
    assert Notification.objects.filter(attempts=0).count() == 5 - sent
    while notifications_deliver(now=lambda: T0):
        pass
    assert len({body["id"] for body in hook.bodies}) == len(hook.bodies) == 5
