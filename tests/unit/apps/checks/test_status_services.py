"""What the operator says on the status page: who sees it, maintenance, notes to incidents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.checks.models import Maintenance, StatusSettings
from apps.checks.selectors.components import MAINTENANCES_MAX
from apps.checks.selectors.status_banners import BANNER_AHEAD, status_banners
from apps.checks.services.status_page import (
    TEXT_MAX,
    incident_note_set,
    maintenance_add,
    maintenance_end,
    status_visibility_set,
)
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from tests import people
from tests.components import announced, incident

pytestmark = pytest.mark.django_db

T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def announce(**values: Any) -> Maintenance:
    facts: dict[str, Any] = {
        "principal": SYSTEM,
        "text": "New disks:\n no blocks for ten minutes",
        "components": ["BLOCKS", "CHAIN"],
        "starts_at": T0 + HOUR,
        "ends_at": T0 + 2 * HOUR,
        "now": T0,
    }
    return maintenance_add(**facts | values)


def lines() -> list[tuple[str, Any, Any]]:
    found = AuditEntry.objects.filter(action__startswith="status.").order_by("pk")
    return [(one.action, one.before, one.after) for one in found]


def test_announcement_is_kept_in_one_paragraph_and_audited() -> None:
    row = announce()

    assert row.text == "New disks: no blocks for ten minutes"
    assert row.components == ["CHAIN", "BLOCKS"]
    assert [(action, after["from"]) for action, _, after in lines()] == [
        ("status.maintenance", "2026-11-21T13:00:00+00:00")
    ]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"text": " \n "}, "text"),
        ({"text": "x" * (TEXT_MAX + 1)}, "text"),
        ({"components": []}, "components"),
        ({"components": ["CHAIN", "MONEY"]}, "components"),
        ({"ends_at": T0 + HOUR}, "ends_at"),
        ({"starts_at": T0 - 2 * HOUR, "ends_at": T0 - HOUR}, "ends_at"),
        ({"ends_at": T0 + timedelta(days=40)}, "ends_at"),
        ({"starts_at": T0 + timedelta(days=400), "ends_at": T0 + timedelta(days=401)}, "starts_at"),
    ],
)
def test_announcement_that_makes_no_sense_is_refused(values: Any, field: str) -> None:
    with pytest.raises(BadValue) as refusal:
        announce(**values)

    assert refusal.value.field == field


def test_announcements_are_bounded() -> None:
    for _ in range(MAINTENANCES_MAX):
        announce()

    with pytest.raises(Conflict):
        announce()


def test_maintenance_ends_early_and_what_has_not_begun_is_withdrawn() -> None:
    later, running = announce(), announce(starts_at=T0 - HOUR)

    for row in (later, running):
        maintenance_end(principal=SYSTEM, maintenance=row, now=T0 + timedelta(minutes=1))

    assert list(Maintenance.objects.values_list("pk", "ends_at")) == [(running.pk, T0 + timedelta(minutes=1))]
    maintenance_end(principal=SYSTEM, maintenance=running, now=T0 + HOUR)
    assert [action for action, _, _ in lines()].count("status.maintenance.end") == 2


def test_note_is_set_changed_and_removed() -> None:
    row = incident()
    for note in ("a disk broke", "a disk broke", "it was replaced", ""):
        incident_note_set(principal=SYSTEM, incident=row, note=note, now=T0)

    assert [(before["note"], after["note"]) for _, before, after in lines()] == [
        ("", "a disk broke"),
        ("a disk broke", "it was replaced"),
        ("it was replaced", ""),
    ]


def test_visibility_is_the_signed_in_until_the_operator_says_otherwise() -> None:
    for is_public in (False, True, True, False):
        status_visibility_set(principal=SYSTEM, is_public=is_public)

    assert [after for _, _, after in lines()] == [{"is_public": True}, {"is_public": False}]
    assert StatusSettings.objects.count() == 1


def test_only_the_operators_admins_say_anything() -> None:
    row, maintenance = incident(), announced()
    for caller in (people.principal(), people.principal("pool", is_operator=True, perm="sign")):
        with pytest.raises(NotAllowed):
            announce(principal=caller)
        with pytest.raises(NotAllowed):
            maintenance_end(principal=caller, maintenance=maintenance, now=T0)
        with pytest.raises(NotAllowed):
            incident_note_set(principal=caller, incident=row, note="x", now=T0)
        with pytest.raises(NotAllowed):
            status_visibility_set(principal=caller, is_public=True)


def test_banners_are_of_open_incidents_and_near_maintenance(pool_redis: str) -> None:
    announced(text="far", starts_at=T0 + BANNER_AHEAD + HOUR, ends_at=T0 + 2 * BANNER_AHEAD)
    announced(text="over", starts_at=T0 - 2 * HOUR, ends_at=T0 - HOUR)
    announced(text="near", starts_at=T0 + HOUR, ends_at=T0 + 2 * HOUR)
    incident(note="was fixed")
    incident(component="BLOCKS", note="we are on it", ended_at=None)
    incident(component="SEALING", ended_at=None)

    found = status_banners(T0)

    assert [(one.text, one.starts_at is None) for one in found] == [("we are on it", True), ("near", False)]
    assert status_banners(T0) == found, "as it is shared"


def test_banner_is_read_anew_once_the_operator_has_said_something(
    pool_redis: str, django_capture_on_commit_callbacks: Any
) -> None:
    assert status_banners(T0) == []
    with django_capture_on_commit_callbacks(execute=True):
        announce()

    assert [one.components for one in status_banners(T0)] == [("CHAIN", "BLOCKS")]
