"""Picking messages on their list: with the keyboard, on the phone, all of a filter, while rows are pushed."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from apps.core.live import Change, publish
from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.users.models import User
from tests import factories
from tests.browser.axe import findings
from tests.browser.conftest import Visit
from tests.browser.live import elsewhere


@pytest.fixture
def queue(transactional_db: None) -> list[Message]:
    """Four messages in flight, the newest first on the page."""
    factories.head(1000)
    return [factories.message(f"m{number}", state=MessageState.FILLED) for number in range(4)][::-1]


def look(visitor: object, name: str) -> None:
    """Leave a picture where one is asked for."""
    folder = os.environ.get("PICTURES")
    if folder:
        visitor.page.screenshot(path=Path(folder) / f"{name}.png")  # type: ignore[attr-defined]


def test_the_keyboard_picks_a_range_and_escape_picks_none(
    visit: Visit, alice: User, queue: list[Message]
) -> None:
    page = visit(alice).go("/messages/")
    bar, boxes = page.page.locator("#selection"), page.page.locator("[data-select]")
    expect(bar).to_be_hidden()

    boxes.nth(0).focus()
    page.page.keyboard.press("Space")
    expect(bar).to_contain_text("1 message selected")
    boxes.nth(2).click(modifiers=["Shift"])
    expect(bar).to_contain_text("3 messages selected")
    look(page, "picked-1440")
    assert findings(page) == []

    page.page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    expect(page.page.locator("[data-select]:checked")).to_have_count(0)


def test_a_pushed_row_stays_picked(visit: Visit, alice: User, queue: list[Message]) -> None:
    page = visit(alice).go("/messages/")
    page.page.locator("[data-select]").nth(1).check()
    picked = queue[1]

    elsewhere(lambda: publish(Change("message", picked.pk, picked.tenant_id)))

    expect(page.page.locator("tr.changed")).to_have_count(1)
    expect(page.page.locator(f"#select-{picked.pk}")).to_be_checked()
    page.resync()
    expect(page.page.locator(f"#select-{picked.pk}")).to_be_checked()
    expect(page.page.locator("#selection")).to_contain_text("1 message selected")


def test_all_of_the_filter_is_confirmed_before_anything_happens(
    visit: Visit, alice: User, queue: list[Message]
) -> None:
    for number in range(60):
        factories.message(f"waits{number}")
    page = visit(alice).go("/messages/?state=open")

    page.page.locator("[data-select-page]").check()
    expect(page.page.locator("#selection")).to_contain_text("50 messages selected")
    page.page.get_by_role("button", name="Select all matching (64)").click()
    expect(page.page.locator("#selection")).to_contain_text("All matching selected (64)")
    look(page, "picked-all-1440")
    page.page.get_by_role("button", name="Mark as failed…").click()

    expect(page.page.locator("h1")).to_have_text("Mark as failed: 64 messages")
    expect(page.page.locator(".verdict")).to_contain_text("This costs nothing.")
    look(page, "confirm-1440")
    page.page.get_by_role("button", name="Mark as failed").click()
    expect(page.page.locator(".note")).to_contain_text("64 messages done")


def test_on_the_phone_rows_are_picked_and_downloaded(
    visit: Visit, alice: User, queue: list[Message], tmp_path: Path
) -> None:
    page = visit(alice, viewport={"width": 360, "height": 740}, has_touch=True, color_scheme="dark").go(
        "/messages/"
    )

    for at in (0, 3):
        page.page.locator("label.pick").nth(1 + at).tap()
    expect(page.page.locator("#selection")).to_contain_text("2 messages selected")
    look(page, "picked-360")
    assert page.sideways((320, 360)) == {}
    assert findings(page) == []
    with page.page.expect_download() as coming:
        page.page.get_by_role("button", name="CSV").click()
    coming.value.save_as(tmp_path / "picked.csv")

    with (tmp_path / "picked.csv").open() as file:
        assert [row["id"] for row in csv.DictReader(file)] == [queue[0].pk, queue[3].pk]
