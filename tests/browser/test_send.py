"""The form of Send in a browser: a method's parameters appear as it is chosen, and what was typed stays."""

from __future__ import annotations

from playwright.sync_api import expect

from apps.users.models import User
from tests import factories
from tests.browser.axe import findings
from tests.browser.conftest import Visit


def test_choosing_a_method_shows_its_parameters(visit: Visit, alice: User) -> None:
    factories.head(1000)
    wallet = factories.wallet(label="till")
    window = visit(alice, viewport={"width": 390, "height": 900}).go("/send/")
    page = window.page

    page.locator("#from").select_option(wallet.address)
    page.locator("#value").fill("1.5")
    page.locator("#method").fill("miner.ChangeBeneficiary")
    page.locator("#method").press("Tab")

    expect(page.locator("#p-NewQuota")).to_be_visible()
    expect(page.locator("#value")).to_have_value("1.5")
    expect(page.locator("#from")).to_have_value(wallet.address)
    page.locator("#p-NewQuota").fill("2.5")
    page.locator("#to").fill("f01000")
    page.locator("#to").press("Tab")
    expect(page.locator("#f-call.htmx-request")).to_have_count(0)
    expect(page.locator("#p-NewQuota")).to_have_value("2.5")
    assert window.sideways((390, 1440)) == {}
    assert findings(window) == []
