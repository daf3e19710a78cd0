"""Two colleagues in two zones: what is pushed to each, and an open page whose person chooses another zone."""

from __future__ import annotations

import re
import signal
from datetime import UTC, datetime

from playwright.sync_api import expect

from apps.core.live import Change, publish
from apps.messages.models import Message
from apps.users.models import User
from tests import factories
from tests.browser.conftest import Visit
from tests.browser.live import elsewhere
from tests.browser.web import Web
from tests.people import person

TIME = "#f-message-m1 [data-label=Created] time"
AT = datetime(2020, 7, 20, 20, 3, 12, tzinfo=UTC)


def in_zone(user: User, zone: str) -> User:
    user.time_zone = zone
    user.save()
    return user


def test_each_colleague_is_pushed_times_in_the_own_zone(visit: Visit, alice: User) -> None:
    factories.head(1000)
    message = factories.message("m1")
    berlin = visit(in_zone(alice, "Europe/Berlin")).go("/messages/")
    kathmandu = visit(in_zone(person("ben"), "Asia/Kathmandu")).go("/messages/")
    for page in (berlin, kathmandu):
        page.wait_live()

    def move() -> None:
        Message.objects.filter(pk=message.pk).update(created_at=AT)
        publish(Change("message", message.pk, message.tenant_id))

    elsewhere(move)

    expect(berlin.see(TIME)).to_have_text("20 Jul 2020")
    expect(berlin.see(TIME)).to_have_attribute("title", "2020-07-20 22:03:12 UTC+2 (2020-07-20 20:03:12 UTC)")
    expect(kathmandu.see(TIME)).to_have_text("21 Jul 2020")
    expect(kathmandu.see(TIME)).to_have_attribute("datetime", "2020-07-21T01:48:12+05:45")


def test_open_page_goes_on_in_the_zone_that_its_person_chooses(visit: Visit, alice: User, site: Web) -> None:
    page = visit(alice).go("/messages/")
    page.wait_live()
    account = page.another().go("/account/")
    account.see("input[name=time_zone]").fill("kathmandu")
    account.page.locator("form[action='/account/time-zone/'] button").click()

    expect(page.see(".rail-foot")).to_contain_text("Times are Asia/Kathmandu (UTC+5:45)")
    page.wait_live()
    page.forgive("WebSocket connection", "ERR_", "htmx:")
    account.forgive("WebSocket connection", "ERR_", "htmx:")
    site.end(signal.SIGKILL)

    expect(page.see("#stale-since")).to_have_text(re.compile(r"\d\d:\d\d:\d\d UTC\+5:45"))
    said = page.see("#stale-since").inner_text()[:5]
    site.start()
    here = datetime.now(UTC).timestamp() / 60 + 345
    hours, minutes = (int(part) for part in said.split(":"))
    assert (here - hours * 60 - minutes) % 1440 < 5
