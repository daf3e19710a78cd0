"""The tenant and the miner in the address: chosen once, on every page, taken away by a click."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.urls import reverse

from tests.demo_data import busy_pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(db: None) -> tuple[Any, Any]:
    """Two tenants with a miner each."""
    operator_person()
    return busy_pool(), busy_pool("bob", key=2, actor_id=2002)


def links(shown: str) -> set[str]:
    """Return the addresses of the navigation."""
    return {html.unescape(one) for one in re.findall(r'class="nav-item"\s+href="([^"]*)"', shown)}


def test_what_is_chosen_comes_back_to_the_page_in_its_address(two: Any) -> None:
    browser, here = signed_in("olga"), reverse("scope")
    after = f"{reverse('sectors')}?state=active&miner=f02001&cursor=x"

    form = text_of(browser.get(here, {"next": after}))
    answer = browser.get(here, {"next": after, "go": "1", "tenant": "bob", "miner": "t02002"})

    assert 'name="tenant"' in form
    assert answer.headers["Location"] == f"{reverse('sectors')}?state=active&tenant=bob&miner=f02002"
    assert browser.get(here, {"next": after, "go": "1"}).headers["Location"] == (
        f"{reverse('sectors')}?state=active"
    )
    assert browser.get(here, {"next": "https://elsewhere.example/", "go": "1"}).headers["Location"] == "/"


def test_a_wrong_choice_is_refused_beside_its_field_and_stays(two: Any) -> None:
    browser, here = signed_in("olga"), reverse("scope")

    for given, reason in (
        ({"tenant": "carol"}, "there is no such tenant"),
        ({"miner": "f09999"}, "f09999"),
        ({"tenant": "alice", "miner": "f02002"}, "is a miner of another tenant"),
    ):
        answer = browser.get(here, {"next": "/gas/", "go": "1", **given})
        assert answer.status_code == 422
        assert reason in text_of(answer)


@pytest.mark.parametrize("name", ["sectors", "pieces", "messages", "deals"])
def test_a_list_shows_the_tenants_rows_alone(two: Any, name: str) -> None:
    shown = text_of(signed_in("olga").get(reverse(name), {"tenant": "bob"}))

    rows = "".join(re.findall(r"<tbody.*?</tbody>", shown, re.DOTALL))
    assert ("f02002" in rows or "bob" in rows) or name == "deals"
    assert "f02001" not in rows
    assert "alice" not in rows
    assert "Tenant bob" in shown
    assert "This page shows all" not in shown


@pytest.mark.parametrize("name", ["sectors", "pieces", "deals", "sealing", "proving", "sectors-expirations"])
def test_a_page_of_miners_shows_the_chosen_one(two: Any, name: str) -> None:
    answer = signed_in("olga").get(reverse(name), {"miner": "f02002", "tenant": "bob"})

    shown = text_of(answer)
    assert answer.status_code == 200
    assert "Miner f02002" in shown
    assert "miner=f02002" in html.unescape(shown)


def test_each_page_of_the_navigation_opens_in_the_scope_and_keeps_it(two: Any) -> None:
    browser, scope = signed_in("olga"), "tenant=bob&miner=f02002"
    first = links(text_of(browser.get(f"{reverse('sectors')}?{scope}&state=active")))

    assert len(first) > 20
    assert {one.partition("?")[2] for one in first} == {scope}
    for href in sorted(first):
        answer = browser.get(href, follow=True)
        assert answer.status_code == 200, href
        shown = text_of(answer)
        assert {one.partition("?")[2] for one in links(shown)} == {scope}, href
        assert "Miner f02002" in shown, href
    assert "This page shows all: it has no such filter." in text_of(
        browser.get(f"{reverse('chain')}?{scope}")
    )


def test_one_click_takes_it_away_and_leaves_the_rest(two: Any) -> None:
    shown = text_of(
        signed_in("olga").get(reverse("sectors"), {"tenant": "bob", "miner": "f02002", "state": "active"})
    )

    off = [html.unescape(one) for one in re.findall(r'class="scope-off"\s+href="([^"]*)"', shown)]
    assert off == [
        f"{reverse('sectors')}?state=active&miner=f02002",
        f"{reverse('sectors')}?state=active&tenant=bob",
    ]


def test_a_list_without_the_filter_keeps_the_scope_in_its_links(two: Any) -> None:
    shown = html.unescape(text_of(signed_in("olga").get(reverse("messages"), {"miner": "f02002"})))

    chips = re.findall(r'class="facet"\s+href="([^"]*)"', shown)
    assert chips
    assert all("miner=f02002" in one for one in chips)
    assert '<input type="hidden" name="miner" value="f02002">' in shown


def test_somebody_of_a_tenant_has_only_his_own(two: Any) -> None:
    person("bill", of="bob")
    browser = signed_in("bill")

    form = text_of(browser.get(reverse("scope")))
    refused = browser.get(reverse("scope"), {"go": "1", "miner": "f02001"})
    foreign = text_of(browser.get(reverse("sectors"), {"tenant": "alice"}))

    assert 'name="tenant"' not in form
    assert "f02001" not in form
    assert refused.status_code == 422
    assert browser.get(reverse("scope"), {"go": "1", "tenant": "alice"}).status_code == 422
    assert "f02001" not in foreign[foreign.index("<main") :]
