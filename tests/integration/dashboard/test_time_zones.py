"""The time zone of the pages: a person's choice, else UTC; programs and files are answered in UTC."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from apps.core.local_time import zone_find, zone_named, zone_names
from apps.dashboard.live_fragments import fragments_render
from apps.dashboard.sessions import PageSession, viewer_of
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from tests.demo_data import busy_pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person

pytestmark = pytest.mark.django_db


def chosen(client: Client, zone: str) -> Any:
    return client.post("/account/time-zone/", {"time_zone": zone}, follow=True)


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("Asia/Kathmandu", "UTC+5:45"), ("Asia/Shanghai", "UTC+8"), ("America/Phoenix", "UTC-7")],
)
def test_a_persons_zone_holds_in_every_browser_until_given_up(zone, offset):
    person()
    here, elsewhere = signed_in(), signed_in()

    saved = text_of(chosen(here, zone))

    assert f"Saved: times are {zone} ({offset}) now." in saved
    for page in (saved, text_of(elsewhere.get("/account/"))):
        assert f"Times are {zone} ({offset})" in page
        assert f"zone={zone}" in page
    assert "Times are UTC" in text_of(chosen(elsewhere, ""))
    assert "Times are UTC" in text_of(here.get("/messages/"))


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("new york", "America/New_York"),
        ("asia/kathmandu", "Asia/Kathmandu"),
        (" Berlin ", "Europe/Berlin"),
        ("utc", ""),
        ("", ""),
    ],
)
def test_a_zone_is_found_by_its_name_or_its_city(typed, name):
    assert zone_find(typed) == name


@pytest.mark.parametrize(
    "typed", ["Mars/Olympus", "../../etc/passwd", "Europe", "Etc/GMT+8", "PRC", "A" * 90]
)
def test_no_other_zone_is_kept(typed):
    ann = person()

    answer = signed_in().post("/account/time-zone/", {"time_zone": typed})

    assert answer.status_code == 422
    ann.refresh_from_db()
    assert ann.time_zone == ""


def test_every_offered_zone_is_one_that_is_taken():
    assert len(zone_names()) > 300
    assert {name for name in zone_names() if str(zone_named(name)) != name} == set()
    assert max(map(len, zone_names())) <= 64


def test_a_zone_that_the_machine_lost_is_shown_as_utc(monkeypatch):
    ann = person()
    ann.time_zone = "Europe/Kyiv"
    ann.save()

    def lost(name: str) -> zoneinfo.ZoneInfo:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    zone_named.cache_clear()
    monkeypatch.setattr(zoneinfo, "ZoneInfo", lost)
    page = text_of(signed_in().get("/account/"))
    zone_named.cache_clear()

    assert "Times are UTC" in page
    assert "The pool's server does not know this time zone" in page.replace("&#x27;", "'")


@pytest.mark.parametrize("name", ["Europe", "../zoneinfo/UTC", "\0", "x" * 300, "Asia/Shanghai\n"])
def test_no_name_of_a_zone_is_an_error(name):
    assert zone_named(name) is UTC


def test_choosing_a_zone_is_no_audit_entry():
    person()

    chosen(signed_in(), "Asia/Shanghai")

    assert not AuditEntry.objects.filter(action__contains="zone").exists()


def test_programs_and_files_are_answered_in_utc():
    busy_pool()
    operator_person()
    client = signed_in("olga")
    addresses = ("/api/v1/sectors", "/api/v1/messages", "/messages.csv", "/sectors.csv")
    before = {address: text_of(client.get(address)) for address in addresses}

    chosen(client, "Asia/Shanghai")

    assert {address: text_of(client.get(address)) for address in addresses} == before
    assert all("+00:00" in text or "Z" in text for text in before.values())


def test_live_updates_are_in_the_zone_of_their_page():
    change = {("head", "1")}
    pushed = {
        zone: fragments_render(change, viewer=SYSTEM, page="today", zone=zone_named(zone))
        for zone in ("UTC", "Europe/Berlin", "Asia/Kathmandu")
    }

    for zone, text in pushed.items():
        assert ("UTC+5:45" in text) == (zone == "Asia/Kathmandu"), zone
        offset = datetime.now(zone_named(zone)).strftime("%z")
        assert ("UTC+" in text) == (offset != "+0000"), zone


def test_open_pages_see_that_another_zone_was_chosen():
    ann = person()
    client = signed_in()
    page = PageSession(user_id=ann.pk, session_key=client.session.session_key)
    before = viewer_of(page)

    chosen(client, "America/New_York")

    after = viewer_of(page)
    assert before is not None
    assert after is not None
    assert (before.time_zone, after.time_zone) == ("", "America/New_York")
    assert before.principal == after.principal
