"""Each page of a busy pool, in whole for its operator and tenant, not at all for a stranger or nobody.

No page shows a time in UTC, without saying so, to a person in another zone: two operators look at each, one
in UTC and one where clocks show other minutes, and what both see alike is UTC.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any, Final

import pytest
from django.http import HttpResponse
from django.template.engine import Engine
from django.test import Client
from django.urls import resolve

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.checks.selectors.data import CheckData
from apps.checks.table.checks import CHECKS
from apps.core.clock import now
from apps.core.middleware import CONTENT_POLICY
from apps.users.states import Role
from tests.demo_data import FORMS, LISTS, OBJECTS, Pool, addresses, busy_pool, plain_addresses
from tests.page_client import Seen, signed_in, text_of
from tests.page_words import Words
from tests.people import operator_person, person
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def pool(module_rows: None) -> Pool:
    """What alice has; operators in two zones, one of hers, and a stranger who may look."""
    operator_person()
    omar = operator_person("omar")
    omar.time_zone = "Asia/Kathmandu"
    omar.save()
    person()
    person("bill", of="bob")
    return busy_pool()


@pytest.fixture(scope="module")
def reports() -> SharedReports:
    """What the checks find of it, by viewer: no page changes that."""
    return SharedReports()


@pytest.fixture(autouse=True)
def shared(reports: SharedReports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each viewer's pages share one evaluation."""
    monkeypatch.setattr(REPORT_NOW, reports)


@pytest.fixture(scope="module")
def pages(pool: Pool) -> dict[str, str]:
    """The addresses of its pages, by their names."""
    return addresses(pool)


@pytest.fixture(scope="module")
def seen(pages: dict[str, str]) -> Seen:
    """The pages as these people saw them."""
    return Seen(pages, "olga", "omar", "ann", "bill")


def is_login(status: int, location: str) -> bool:
    """Whether an answer leads to the login and back."""
    return status == 302 and location.startswith("/login/?next=")


class Shape(HTMLParser):
    """The ids, inputs and void errors of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.styled: list[str] = []
        self.scripts: list[str] = []
        self.links: set[str] = set()
        """What the page leads to, itself and its icons included."""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if tag in ("a", "use") and values.get("href"):
            self.links.add(str(values["href"]))
        if "style" in values or tag == "style":
            self.styled.append(self.get_starttag_text() or tag)
        if tag == "script" and "src" not in values:
            self.scripts.append(self.get_starttag_text() or tag)
        self.scripts += [name for name in values if name.startswith("on")]


def test_nobody_is_sent_to_the_login(pages):
    answers = {page: Client().get(pages[page]) for page in (*LISTS, *FORMS, *OBJECTS)}

    led = {page: (answer.status_code, answer.headers.get("Location", "")) for page, answer in answers.items()}
    assert {page: to for page, to in led.items() if not is_login(*to)} == {}


def faults(answer: HttpResponse) -> dict[str, Any]:
    """Return what is wrong with a page and its headers."""
    shape = Shape(text_of(answer))
    found = {
        "status": answer.status_code if answer.status_code != 200 else 0,
        "an id stands twice": [name for name, count in Counter(shape.ids).items() if count > 1],
        "leads to no part": {link[1:] for link in shape.links if link.startswith("#")} - set(shape.ids),
        "styled inline": shape.styled,
        "scripts inline": shape.scripts,
        "policy": answer.headers["Content-Security-Policy"] != CONTENT_POLICY,
        "kept": answer.headers["Cache-Control"] != "no-store",
        "varies": {"Cookie", "HX-Request"} - set(answer.headers["Vary"].split(", ")),
    }
    return {what: values for what, values in found.items() if values}


@pytest.mark.parametrize("name", ["olga", "ann"])
def test_filled_pages_are_well_formed(seen: Seen, name: str) -> None:
    found = {page: faults(seen(name, page)) for page in (*LISTS, *FORMS, *OBJECTS)}

    assert {page: wrong for page, wrong in found.items() if wrong} == {}


def test_faults_of_a_page_are_found() -> None:
    html = '<p id="a" style="x" onclick="y"></p><p id="a"></p><a href="#b"></a><script></script>'
    headers = {"Content-Security-Policy": "", "Cache-Control": "", "Vary": "Cookie"}

    assert set(faults(HttpResponse(html, status=500, headers=headers))) == {
        *("status", "an id stands twice", "leads to no part", "styled inline", "scripts inline"),
        *("policy", "kept", "varies"),
    }


def test_a_strangers_objects_are_not_there(seen: Seen) -> None:
    answers = {page: seen("bill", page) for page in OBJECTS}

    assert {page: answer.status_code for page, answer in answers.items() if answer.status_code != 404} == {}
    # beside the address that was asked for
    texts = {page: text_of(answer).replace(seen.pages[page], "") for page, answer in answers.items()}
    assert [page for page, text in texts.items() if "alice" in text] == []


def test_lists_of_a_stranger_hold_nothing_of_others(pool: Pool) -> None:
    seen = Seen(plain_addresses(), "bill")
    secrets = ("alice", pool.miner.address, str(pool.active.uuid), pool.wallet.address, "sealer")

    texts = {
        page: seen.text("bill", page).replace("Sealed", "").replace("sealer appears", "")
        for page in (*LISTS, *FORMS)
    }

    assert [(page, secret) for page, text in texts.items() for secret in secrets if secret in text] == []


TIME: Final = re.compile(r"(?<![\d:.])\d\d:\d\d(?::\d\d)?(?![\d:])|\d{4}-\d\d-\d\d")
UTC: Final = re.compile(r"UTC(?![+-])")


def times_alike(here: str, there: str) -> list[str]:
    """Return the texts with a time, not said to be UTC, that both pages have."""
    texts, others = Words(here).texts, Words(there).texts
    return [text for text in texts if text in others and TIME.search(text) and not UTC.search(text)]


def test_no_page_has_a_bare_utc_time_in_another_zone(seen: Seen) -> None:
    alike = {
        page: times_alike(seen.text("omar", page), seen.text("olga", page))
        for page in (*LISTS, *FORMS, *OBJECTS)
    }

    assert {page: texts for page, texts in alike.items() if texts} == {}


def test_bare_utc_times_are_found() -> None:
    assert times_alike("<p>at 10:05</p>", "<p>at 10:05</p>") == ["at 10:05"]
    assert times_alike("<p>at 10:05 UTC</p><p>15:50</p>", "<p>at 10:05 UTC</p><p>10:05</p>") == []


def test_no_link_leads_an_auditor_nowhere(pages, monkeypatch):
    person("anna", role=Role.AUDITOR)
    anna = signed_in("anna")
    answers = [anna.get(pages[page]) for page in (*LISTS, *OBJECTS)]
    links = {link for page in answers for link in Shape(text_of(page)).links if link.startswith("/")}
    links |= {check.link.address for check in CHECKS if not check.operator_only}

    by_route = {resolve(link.partition("?")[0].partition("#")[0]).view_name: link for link in links}
    lost = {link for link in by_route.values() if anna.get(link).status_code == 404}

    assert len(by_route) > 50
    assert lost == set()


NOT_GIVEN = "/not-given/%s;"
"""What stands for a name that a template does not have: a path, so that links take it."""
OPTIONAL = {"tone", "end", "field"}
"""Which an include may be given or not."""


def test_no_page_shows_a_name_that_it_was_not_given(
    pages: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine.get_default(), "string_if_invalid", NOT_GIVEN)
    olga = signed_in("olga")

    missing = {
        name: set(re.findall(r"/not-given/([^;]*);", text_of(olga.get(address)))) - OPTIONAL
        for name, address in pages.items()
    }

    assert {name: words for name, words in missing.items() if words} == {}


@pytest.mark.parametrize("ago", [timedelta(seconds=2), timedelta(days=1)])
def test_pages_whose_clock_was_taken_before_their_rows(pool, pages, monkeypatch, ago):
    taken = now() - ago
    common = {"miner": pool.miner, "base_height": 9, "at": now(), "expected": 0.5, "win_count": 1}
    Round.objects.create(epoch=10, state=RoundState.INCLUDED, **common)
    monkeypatch.setattr(CheckData, "at", taken)
    olga = signed_in("olga")
    olga.raise_request_exception = False

    answers = {name: olga.get(address).status_code for name, address in pages.items()}

    assert {name: status for name, status in answers.items() if status != 200} == {}
