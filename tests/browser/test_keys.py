"""Keys of every page: the palette, pages by two letters, the list of keys; folded groups stay folded."""

from __future__ import annotations

from django.urls import reverse
from playwright.sync_api import expect

from apps.users.models import User
from tests import factories
from tests.browser.axe import findings
from tests.browser.conftest import Visit

STROKES = """keys => {
    for (const key of keys) document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
}"""


def test_a_person_goes_and_acts_by_keys(visit: Visit, operator: User) -> None:
    factories.miner(2001)
    page = visit(operator).go(reverse("today"))
    keyboard, tab = page.page.keyboard, page.page

    keyboard.press("Control+k")
    expect(tab.locator("#palette")).to_be_visible()
    keyboard.type("withdraw f02001")
    expect(tab.locator("#palette-list a").first).to_contain_text("Withdraw")
    assert findings(page) == []
    keyboard.press("ArrowDown")
    keyboard.press("ArrowUp")
    keyboard.press("Enter")
    tab.wait_for_url(f"**{reverse('miner-withdraw', args=['f02001'])}")

    page.wait_live()
    # Two strokes of a busy machine may lie further apart than those of a person.
    tab.evaluate(STROKES, ["g", "m"])
    tab.wait_for_url(f"**{reverse('miners')}")
    page.wait_live()
    keyboard.press("?")
    expect(tab.locator("#keys")).to_contain_text("Search the pool")
    assert findings(page) == []
    keyboard.press("Escape")
    keyboard.press("/")
    expect(tab.locator("#q")).to_be_focused()
    keyboard.type("g")
    keyboard.type("s")
    assert tab.url.endswith(reverse("miners")), "who writes goes nowhere"


def test_enter_does_not_follow_what_was_suggested_for_less(visit: Visit, operator: User) -> None:
    factories.miner(2001)
    tab = visit(operator).go(reverse("today")).page
    tab.keyboard.press("Control+k")
    tab.keyboard.type("withdraw")
    expect(tab.locator("#palette-list a").first).to_contain_text("Withdraw")

    tab.route("**/search/suggest/**", lambda _route: None)  # no answer in time
    tab.keyboard.type(" f09999")
    tab.keyboard.press("Enter")

    tab.wait_for_url("**/search/?q=withdraw+f09999")


def test_a_folded_group_stays_folded_but_on_its_own_pages(visit: Visit, operator: User) -> None:
    page = visit(operator).go(reverse("today"))
    access = page.page.locator(".nav-group", has=page.page.get_by_text("Access", exact=True))

    access.locator("summary").click()
    page.go(reverse("hosts"))
    expect(access).not_to_have_attribute("open", "")
    page.go(reverse("audit"))
    expect(access).to_have_attribute("open", "")
