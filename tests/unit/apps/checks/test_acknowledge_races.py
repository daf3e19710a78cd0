"""Acknowledging while an evaluation ends the alert: whichever is first, the other sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, transaction

from apps.checks.models import Alert, AlertEntry
from apps.checks.services.acknowledgements import alert_acknowledge
from apps.core.errors import Conflict
from apps.users.rules.principals import SYSTEM
from tests.alerts import T0, told

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


def beside(first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
    """Begin the second while the first has done its work and not committed; what became of each."""
    done, may_commit = Event(), Event()
    found: list[Any] = [None, None]

    def run(at: int, act: Callable[[], Any]) -> None:
        try:
            with transaction.atomic():
                found[at] = act()
                if at == 0:
                    done.set()
                    may_commit.wait(10)
        except Conflict as error:
            found[at] = error
        finally:
            done.set()
            connection.close()

    threads = [Thread(target=run, args=(0, first)), Thread(target=run, args=(1, second))]
    threads[0].start()
    assert done.wait(10)
    threads[1].start()
    threads[1].join(0.5)
    assert threads[1].is_alive(), "the second waits for the first"
    may_commit.set()
    for thread in threads:
        thread.join(10)
    return found


def acknowledged(alert: Alert) -> Alert:
    return alert_acknowledge(principal=SYSTEM, uuid=alert.uuid, hours=0, now=T0 + MINUTE)


def test_alert_that_ends_first_is_not_acknowledged() -> None:
    told(T0, "hosts_away")
    alert = Alert.objects.get()

    _, refused = beside(lambda: told(T0 + MINUTE), lambda: acknowledged(alert))

    assert isinstance(refused, Conflict)
    assert not Alert.objects.get().is_acknowledged
    assert list(AlertEntry.objects.values_list("kind", flat=True)) == ["STARTED", "ENDED"]


def test_alert_that_is_acknowledged_first_ends_and_is_nobodys() -> None:
    told(T0, "hosts_away")
    alert = Alert.objects.get()

    beside(lambda: acknowledged(alert), lambda: told(T0 + 2 * MINUTE))

    alert.refresh_from_db()
    assert (alert.ended_at, alert.is_acknowledged) == (T0 + 2 * MINUTE, False)
    assert list(AlertEntry.objects.values_list("kind", flat=True)) == ["STARTED", "ACKNOWLEDGED", "ENDED"]


def test_of_two_people_at_once_one_has_it() -> None:
    told(T0, "hosts_away")
    alert = Alert.objects.get()
    other = replace(SYSTEM, actor="wei")

    _, refused = beside(
        lambda: acknowledged(alert),
        lambda: alert_acknowledge(principal=other, uuid=alert.uuid, hours=1, now=T0 + MINUTE),
    )

    assert isinstance(refused, Conflict)
    assert "system acknowledged it" in refused.reason
    assert Alert.objects.get().acknowledged_by == "system"
