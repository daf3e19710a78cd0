"""`/api/docs/` in a browser: the library's page works under the content policy."""

from __future__ import annotations

from playwright.sync_api import expect

from apps.users.models import User
from tests.browser.conftest import Visit


def test_a_request_is_tried_as_who_is_signed_in(visit: Visit, operator: User) -> None:
    visitor = visit(operator)

    visitor.go("/api/docs/", live=False)
    page = visitor.page
    page.locator("#operations-tag-index button").first.click()
    page.locator("[id^=operations-index-] button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()

    expect(page.locator(".response .microlight").first).to_contain_text('"is_operator": true')
