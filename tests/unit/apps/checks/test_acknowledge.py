"""An alert that somebody has: reminders stop, and come back once it is worse, ends or the time is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from apps.checks.findings.results import Finding, Severity
from apps.checks.models import Alert, AlertEntry, Notification
from apps.checks.report.report import Report, Result
from apps.checks.services.acknowledgements import (
    COMMENT_MAX,
    alert_acknowledge,
    alert_acknowledgement_end,
    alert_comment,
)
from apps.checks.services.alert_entries import ENTRIES_MAX
from apps.checks.services.alerts import alerts_update
from apps.checks.services.deliver import notifications_deliver
from apps.checks.table.checks import CHECKS
from apps.core.errors import BadValue, Conflict, NotAllowed, NotFound
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM, Principal
from tests.alerts import HOUR, T0, Hook, channel, told
from tests.audit_rules import CheckedLines
from tests.people import principal, tenant

pytestmark = pytest.mark.django_db
LI, WEI = replace(SYSTEM, actor="li"), replace(SYSTEM, actor="wei")
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _audit_lines_are_checked() -> Iterator[None]:
    with CheckedLines():
        yield


def failing(at: datetime, check: str = "hosts_away", **values: Any) -> Alert:
    """Evaluate once, so that a check fails; its alert."""
    told(at, check, **values)
    return Alert.objects.get(ended_at=None, check_name=check)


def acknowledged(at: datetime, *, by: Principal = LI, hours: int = 4) -> Alert:
    """The open alert, which somebody takes on."""
    return alert_acknowledge(principal=by, uuid=Alert.objects.get(ended_at=None).uuid, hours=hours, now=at)


def kinds() -> list[str]:
    return list(AlertEntry.objects.order_by("pk").values_list("kind", flat=True))


def found(at: datetime, *keys: str, severity: Severity = Severity.WARNING) -> list[str]:
    """Evaluate at a moment: hosts with these keys are away; what the channels are told."""
    findings = tuple(Finding(key, f"{key} is offline") for key in keys)
    results = (
        Result(replace(check, severity=severity), findings)
        if check.name == "hosts_away"
        else Result(check, ())
        for check in CHECKS
    )
    report = Report(T0, tuple(results))
    return [str(row.event) for row in alerts_update(report=report, pool="testnet", now=at)]


def test_acknowledged_alert_is_not_repeated_until_the_time_is_over() -> None:
    channel(repeat_s=900)
    failing(T0)
    acknowledged(T0 + MINUTE, hours=1)

    assert [told(T0 + minute * MINUTE, "hosts_away") for minute in (16, 40, 60)] == [[], [], []]
    assert told(T0 + 61 * MINUTE, "hosts_away") == [("ops", "REPEATED", "hosts_away")]
    assert kinds() == ["STARTED", "ACKNOWLEDGED", "EXPIRED"]
    assert not Alert.objects.get().is_acknowledged


def test_acknowledged_critical_alert_is_not_repeated_either() -> None:
    channel(repeat_s=900)
    failing(T0, "fee_debt")
    acknowledged(T0 + MINUTE)

    assert [told(T0 + minute * MINUTE, "fee_debt") for minute in (16, 40)] == [[], []]


def test_acknowledged_alert_with_more_objects_is_told_at_once() -> None:
    channel(repeat_s=24 * 3600)
    failing(T0, count=3)
    acknowledged(T0 + MINUTE, hours=0)

    assert told(T0 + 2 * MINUTE, "hosts_away", count=2) == []
    assert told(T0 + 3 * MINUTE, "hosts_away", count=3) == []
    assert told(T0 + 4 * MINUTE, "hosts_away", count=4) == [("ops", "REPEATED", "hosts_away")]
    assert told(T0 + 5 * MINUTE, "hosts_away", count=5) == [], "it is nobody's now, and repeated as any other"
    assert kinds() == ["STARTED", "ACKNOWLEDGED", "WORSENED"]


def test_acknowledged_alert_about_another_object_is_told_at_once() -> None:
    channel(repeat_s=24 * 3600)
    found(T0, "host-1", "host-2")
    acknowledged(T0 + MINUTE)

    assert found(T0 + 2 * MINUTE, "host-1") == []
    assert found(T0 + 3 * MINUTE, "host-3") == ["REPEATED"]


def test_acknowledged_alert_of_many_that_regroup_stays_acknowledged() -> None:
    channel(repeat_s=900)
    found(T0, *(f"host-{number}" for number in range(5)))
    acknowledged(T0 + MINUTE)

    assert found(T0 + 20 * MINUTE, *(f"host-{number}" for number in range(2, 6))) == []


def test_acknowledged_alert_whose_severity_rises_is_told_at_once() -> None:
    channel(repeat_s=24 * 3600)
    found(T0, "host-1")
    acknowledged(T0 + MINUTE)

    assert found(T0 + 2 * MINUTE, "host-1", severity=Severity.CRITICAL) == ["REPEATED"]


def test_alert_that_ends_and_comes_back_is_nobodys() -> None:
    channel(repeat_s=900)
    failing(T0, "fee_debt")
    acknowledged(T0 + MINUTE, hours=0)

    assert told(T0 + 5 * MINUTE) == [("ops", "ENDED", "fee_debt")]
    assert told(T0 + 6 * MINUTE, "fee_debt") == []
    assert not Alert.objects.get().is_acknowledged
    assert told(T0 + 15 * MINUTE, "fee_debt") == [("ops", "STARTED", "fee_debt")]
    assert told(T0 + 16 * MINUTE) == [("ops", "ENDED", "fee_debt")]


def test_check_that_fails_again_within_ten_minutes_has_the_same_alert() -> None:
    for minute in range(0, 60, 2):
        told(T0 + minute * MINUTE, "hosts_away")
        told(T0 + (minute + 1) * MINUTE)

    alert = Alert.objects.get()
    assert (alert.times, alert.began_at, alert.since) == (30, T0, T0 + 58 * MINUTE)

    failing(T0 + 69 * MINUTE)
    assert Alert.objects.count() == 2, "ten minutes later it is another one"


def test_history_of_a_flapping_check_stays_short() -> None:
    for at in range(ENTRIES_MAX):
        told(T0 + at * MINUTE, *(["hosts_away"] if at % 2 == 0 else []))
        told(T0 + (at + 0.5) * MINUTE, *(["hosts_away"] if at % 2 == 0 else []), count=3)

    assert AlertEntry.objects.count() == ENTRIES_MAX
    assert Alert.objects.get().times == ENTRIES_MAX // 2


def test_history_has_a_line_when_the_count_doubles_or_halves() -> None:
    for at, count in enumerate((100, 101, 150, 199, 200, 210, 101, 100, 99)):
        told(T0 + at * MINUTE, "hosts_away", count=count)

    assert list(AlertEntry.objects.values_list("kind", "count")) == [
        ("STARTED", 100),
        ("CHANGED", 200),
        ("CHANGED", 100),
    ]


def test_channel_that_was_never_told_hears_of_an_acknowledged_alert() -> None:
    failing(T0)
    acknowledged(T0)
    channel("late")

    assert told(T0 + MINUTE, "hosts_away") == [("late", "STARTED", "hosts_away")]
    row = Notification.objects.get()
    assert row.text.endswith("(acknowledged by li)")
    assert row.body["acknowledged_by"] == "li"


def test_second_person_learns_who_was_first() -> None:
    alert = failing(T0)
    acknowledged(T0)

    with pytest.raises(Conflict, match="li acknowledged it at 12:00:00 UTC"):
        acknowledged(T0 + MINUTE, by=WEI)
    alert.refresh_from_db()
    assert (alert.acknowledged_by, kinds()) == ("li", ["STARTED", "ACKNOWLEDGED"])


def test_acknowledgement_that_is_sent_twice_is_done_once() -> None:
    failing(T0)
    for hours in (4, 0):
        acknowledged(T0, hours=hours)
        acknowledged(T0 + timedelta(seconds=20), hours=hours)

    assert kinds() == ["STARTED", "ACKNOWLEDGED", "ACKNOWLEDGED"], "the second prolonged it"
    assert AuditEntry.objects.filter(action="alert.acknowledge").count() == 2
    assert Alert.objects.get().acknowledged_until is None


def test_alert_that_has_ended_is_not_acknowledged() -> None:
    alert = failing(T0)
    told(T0 + MINUTE)

    with pytest.raises(Conflict, match="passes again since 12:01:00 UTC"):
        alert_acknowledge(principal=LI, uuid=alert.uuid, hours=1, now=T0 + MINUTE)


def test_acknowledgement_is_ended_by_anybody_who_could_give_it() -> None:
    channel(repeat_s=900)
    alert = failing(T0)
    acknowledged(T0)

    with pytest.raises(Conflict, match="li has acknowledged it now"):
        alert_acknowledgement_end(principal=WEI, uuid=alert.uuid, now=T0, by="wei")
    for _ in range(2):
        alert_acknowledgement_end(principal=WEI, uuid=alert.uuid, now=T0 + MINUTE, by="li")

    assert kinds() == ["STARTED", "ACKNOWLEDGED", "WITHDRAWN"]
    assert told(T0 + 15 * MINUTE, "hosts_away") == [("ops", "REPEATED", "hosts_away")]
    [line] = AuditEntry.objects.filter(action="alert.unacknowledge")
    assert (line.actor, line.target, line.before) == ("wei", "hosts_away", {"by": "li"})


def test_acknowledging_drops_reminders_that_wait_and_no_first_report(hook: Hook) -> None:
    hook.status = 503
    channel(target=hook.url, repeat_s=900)
    failing(T0)
    notifications_deliver(now=lambda: T0)
    told(T0 + 15 * MINUTE, "hosts_away")
    assert list(Notification.objects.values_list("event", flat=True)) == ["STARTED", "REPEATED"]

    acknowledged(T0 + 16 * MINUTE)
    hook.status = 200
    notifications_deliver(now=lambda: T0 + HOUR)

    assert [body["event"] for body in hook.bodies] == ["started", "started"]


def test_comment_stays_as_it_was_written() -> None:
    alert = failing(T0)
    alert_comment(principal=LI, uuid=alert.uuid, text="  <b>cable</b>\r\nreplaced ", now=T0)
    told(T0 + MINUTE)
    alert_comment(principal=WEI, uuid=alert.uuid, text="checked", now=T0 + HOUR)

    rows = AlertEntry.objects.filter(kind="COMMENTED").values_list("actor", "text")
    assert list(rows) == [("li", "<b>cable</b>\nreplaced"), ("wei", "checked")]
    for text in (" ", "x" * (COMMENT_MAX + 1)):
        with pytest.raises(BadValue):
            alert_comment(principal=LI, uuid=alert.uuid, text=text, now=T0)


@pytest.mark.parametrize("hours", [-1, 2, 24])
def test_acknowledgement_for_other_hours_is_refused(hours: int) -> None:
    failing(T0)

    with pytest.raises(BadValue):
        acknowledged(T0, hours=hours)


@pytest.mark.parametrize(
    ("caller", "refusal"),
    [
        ({"perm": "read"}, NotAllowed),
        ({"name": "bob"}, NotFound),
        ({"miners": (2001,)}, NotFound),
        ({"perm": "write"}, None),
        ({"is_operator": True, "name": "pool", "perm": "write"}, None),
    ],
)
def test_tenants_alert_is_worked_on_by_its_own_people(caller: dict[str, Any], refusal: Any) -> None:
    alert = Alert.objects.create(
        tenant=tenant("alice"), check_name="hosts_away", severity="warning", count=1, began_at=T0, since=T0
    )
    who = principal(**{"name": "alice", **caller})

    for act in (
        lambda: alert_acknowledge(principal=who, uuid=alert.uuid, hours=1, now=T0),
        lambda: alert_comment(principal=who, uuid=alert.uuid, text="seen", now=T0),
        lambda: alert_acknowledgement_end(principal=who, uuid=alert.uuid, now=T0),
    ):
        if refusal is None:
            assert act().pk == alert.pk
        else:
            with pytest.raises(refusal):
                act()


def test_pools_alert_is_not_its_tenants_business() -> None:
    alert = failing(T0)

    with pytest.raises(NotFound):
        alert_acknowledge(principal=principal(perm="admin"), uuid=alert.uuid, hours=1, now=T0)
