"""Days and times that a person types are of the zone in which the page shows them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.checks.models import Alert, Maintenance
from apps.sectors.models import SealTarget
from apps.users.models import AuditEntry, User
from apps.users.services.audit import audit_record
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person, principal, token

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def in_zone(user: User, zone: str) -> None:
    user.time_zone = zone
    user.save()


@pytest.mark.parametrize(
    ("zone", "since", "found"),
    [
        ("", "2026-11-02", {"two", "three"}),
        ("Asia/Kathmandu", "2026-11-02", {"one", "two", "three"}),
        ("Asia/Kathmandu", "2026-11-03", {"three"}),
        ("America/New_York", "2026-11-02", {"three"}),
    ],
)
def test_audit_filter_reads_its_day_in_the_persons_zone(zone, since, found, monkeypatch):
    aud = person("aud", role="AUDITOR")
    in_zone(aud, zone)
    done = {
        "one": datetime(2026, 11, 1, 18, 15, tzinfo=UTC),  # midnight of the 2nd in Kathmandu
        "two": datetime(2026, 11, 2, 4, 59, 59, tzinfo=UTC),  # a second before that in New York
        "three": datetime(2026, 11, 2, 18, 15, tzinfo=UTC),
    }
    for target, at in done.items():
        monkeypatch.setattr("apps.core.clock.now", lambda at=at: at)
        audit_record(principal=principal(actor="adam"), action="token.create", target=target)
    monkeypatch.undo()
    page, query = signed_in("aud"), {"since": since, "until": "2026-11-05"}

    shown = text_of(page.get("/audit/", query))

    assert {name for name in done if f">{name}<" in shown} == found
    assert f'<span class="muted s">{zone or "UTC"}</span>' in shown
    rows = json.loads(text_of(page.get("/audit.json", query)))
    assert {row["target"] for row in rows} == found
    assert {row["at"][-6:] for row in rows} == {"+00:00"}
    csv = text_of(page.get("/audit.csv", query))
    assert {name for name in done if f",{name}," in csv} == found


def test_alert_filter_ends_with_the_day_of_the_persons_zone():
    in_zone(operator_person(), "America/New_York")
    at = datetime(2026, 11, 3, 4, 30, tzinfo=UTC)  # half an hour before the 2nd is over there
    Alert.objects.create(
        check_name="fee_debt",
        title="No miner owes fees",
        severity="WARNING",
        say="owes",
        count=1,
        since=at,
        began_at=at,
        ended_at=at + timedelta(hours=1),
    )
    page = signed_in("olga")

    assert "No matching alerts" not in text_of(page.get("/alerts/history/?until=2026-11-02&since=2026-11-02"))
    assert "No matching alerts" in text_of(page.get("/alerts/history/?since=2026-11-03"))


def announce(client: Any, starts_at: str, ends_at: str) -> Any:
    form = {"text": "new disks", "components": ["CHAIN"], "starts_at": starts_at, "ends_at": ends_at}
    return client.post("/status/maintenance/announce/", form, follow=True)


@pytest.mark.parametrize(
    ("zone", "typed", "starts", "shown"),
    [
        ("", "2026-10-25T02:30", datetime(2026, 10, 25, 2, 30, tzinfo=UTC), "25 Oct 02:30 UTC to"),
        (
            "Asia/Kathmandu",
            "2026-10-25T02:30",
            datetime(2026, 10, 24, 20, 45, tzinfo=UTC),
            "25 Oct 02:30 UTC+5:45 to",
        ),
        (
            "America/New_York",
            "2026-03-08T03:30",
            datetime(2026, 3, 8, 7, 30, tzinfo=UTC),
            "08 Mar 03:30 UTC-4 to",
        ),
        # Of an hour that occurs twice, the first.
        (
            "Europe/Berlin",
            "2026-10-25T02:30",
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            "25 Oct 02:30 UTC+2 to",
        ),
        # What names its zone itself.
        (
            "Europe/Berlin",
            "2026-10-25T02:30+01:00",
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
            "25 Oct 02:30 UTC+1 to",
        ),
    ],
)
def test_maintenance_begins_at_the_time_of_the_persons_zone(zone, typed, starts, shown, monkeypatch):
    in_zone(operator_person(), zone)
    monkeypatch.setattr("apps.core.clock.now", lambda: NOW)
    client = signed_in("olga")

    page = text_of(announce(client, typed, typed.replace(":30", ":45", 1)))

    assert Maintenance.objects.get().starts_at == starts
    assert f"Announced: {shown}" in page
    after = AuditEntry.objects.get(action="status.maintenance").after
    assert after is not None
    assert after["from"] == starts.isoformat()


@pytest.mark.parametrize(
    ("zone", "typed"), [("Europe/Berlin", "2026-03-29T02:30"), ("America/New_York", "2026-03-08T02:00")]
)
def test_a_time_that_clocks_leave_out_is_refused(zone, typed, monkeypatch):
    in_zone(operator_person(), zone)
    monkeypatch.setattr("apps.core.clock.now", lambda: NOW)
    client = signed_in("olga")

    page = announce(client, typed, "2026-04-01T00:00")

    assert page.status_code == 422
    assert f"there is no such time in {zone}: the clocks are set forward then" in text_of(page)
    assert f"From ({zone})" in text_of(page)
    assert not Maintenance.objects.exists()


@pytest.mark.parametrize("typed", ["0001-01-01T00:00", "9999-12-31T23:59", "2026-11-30", "soon", ""])
def test_no_typed_time_is_an_error_in_any_zone(typed):
    olga = operator_person()
    client = signed_in("olga")

    for zone in ("Asia/Shanghai", "America/New_York"):
        in_zone(olga, zone)
        assert announce(client, typed, typed).status_code == 422


def test_a_target_ends_with_its_day_in_the_zone_of_who_set_it():
    factories.network()
    miner = factories.miner(3001, of="alice")
    ann = person()
    client, address = signed_in(), f"/miners/{miner.address}/target/"
    form = {"act": "set", "in_work": "3", "until": "2030-12-31"}
    in_zone(ann, "Asia/Shanghai")
    end = datetime(2030, 12, 31, 16, tzinfo=UTC)

    client.post(address, form)

    assert SealTarget.objects.get().until == end
    assert "Until the end of this day, Asia/Shanghai" in text_of(client.get(address))
    # A colleague elsewhere changes another field: the end stays where it is.
    in_zone(ann, "Pacific/Auckland")
    shown = text_of(client.get(address))
    assert 'value="2031-01-01"' in shown
    client.post(address, form | {"in_work": "4", "until": "2031-01-01"})
    assert (SealTarget.objects.get().in_work, SealTarget.objects.get().until) == (4, end)
    client.post(address, form | {"until": "2031-01-02"})
    assert SealTarget.objects.get().until == datetime(2031, 1, 2, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "end"),
    [
        ("Asia/Shanghai", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("America/New_York", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_last_moment_there_is_has_no_other_zone_and_no_error(zone, end):
    in_zone(operator_person(), zone)
    token("sign", expires_at=end)

    assert f"{end:%Y-%m-%d} {end:%H:%M:%S} UTC" in text_of(signed_in("olga").get("/tokens/"))
