"""Every page as a person sees it: nothing in the console, nothing sideways, nothing that axe-core minds."""

from __future__ import annotations

from typing import Final, Literal

import pytest
from django.urls import reverse
from playwright.sync_api import ViewportSize, expect

from apps.users.models import User
from tests import demo_data
from tests.browser.axe import findings
from tests.browser.conftest import DESKTOP, Visit

EMPTY_PAGES: Final = (*demo_data.LISTS, *demo_data.FORMS)
OPERATOR_PAGES: Final = ("alerts", "alert-channel-new", "recovery", "checks", "maintenance-announce")
"""Not there for a tenant, or without rows of their own."""
WIDTHS: Final = (320, 360, 390, 768, 1100, 1440)
FEW_WIDTHS: Final = (320, 1100)
"""At which `make test` looks: the narrowest, and a rail beside the page with the least room."""
PHONE: Final = ViewportSize(width=390, height=844)
LOOKS: Final[tuple[tuple[Literal["light", "dark"], ViewportSize], ...]] = (
    ("light", DESKTOP),
    ("dark", PHONE),
)
"""In which axe-core looks at a page."""
PARTS: Final = 4
"""Filled pages that share a pool: to fill one takes as long as to look at a page."""
FEWER: Final = 10
"""Of so many empty pages `make test` looks at one: they are made of the parts of filled ones."""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(
    "in_both_looks", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["in turn", "in both looks"]
)
def test_filled_pages_fit_every_width_and_have_no_findings(
    look: Visit, operator: User, part: int, in_both_looks: bool
) -> None:
    addresses = demo_data.addresses(demo_data.busy_pool())
    page = look(operator)
    sideways: dict[str, dict[int, int]] = {}
    found: dict[str, list[str]] = {}

    for at, name in enumerate(list(addresses)[part::PARTS]):
        page.page.set_viewport_size(DESKTOP)
        page.page.emulate_media(color_scheme="light")
        page.go(addresses[name])
        sideways[name] = page.sideways(WIDTHS if in_both_looks else FEW_WIDTHS)
        for scheme, size in LOOKS if in_both_looks else LOOKS[at % 2 :][:1]:
            page.page.emulate_media(color_scheme=scheme)
            page.page.set_viewport_size(size)
            found[f"{name}, {scheme}, {size['width']} px"] = findings(page)

    assert {name: widths for name, widths in sideways.items() if widths} == {}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if at % 2 else [])
        for at, name in enumerate(OPERATOR_PAGES)
    ],
)
def test_a_page_of_the_operator_fits_every_width_and_has_no_findings(
    visit: Visit, operator: User, name: str
) -> None:
    demo_data.busy_pool()
    demo_data.alerts()
    page = visit(operator).go(reverse(name))

    assert page.sideways(WIDTHS) == {}
    for width, is_dark in ((1440, False), (390, True)):
        page.page.emulate_media(color_scheme="dark" if is_dark else "light")
        page.page.set_viewport_size({"width": width, "height": 900})
        assert findings(page) == []


@pytest.mark.parametrize("width", [390, *(pytest.param(one, marks=pytest.mark.slow) for one in (768, 1440))])
def test_buttons_of_a_channel_stay_within_its_row(look: Visit, operator: User, width: int) -> None:
    demo_data.alerts()
    page = look(operator).go(reverse("alerts"))
    page.page.set_viewport_size({"width": width, "height": 900})
    row = page.page.locator("tr", has=page.page.get_by_role("button", name="Disable"))

    box, buttons = row.bounding_box(), [one.bounding_box() for one in row.get_by_role("button").all()]

    assert box is not None
    assert len(buttons) == 4
    assert all(one and one["y"] + one["height"] <= box["y"] + box["height"] for one in buttons)


@pytest.mark.usefixtures("alice")  # a second tenant, so that none is evident
def test_a_field_keeps_its_help_beside_an_error(visit: Visit, operator: User) -> None:
    page = visit(operator).go(reverse("miner-new"))
    helped = page.page.locator("main .help").count()

    page.page.locator("main form").last.evaluate("form => { form.noValidate = true; form.requestSubmit(); }")

    expect(page.page.locator("main .error").first).to_be_visible()
    assert page.page.locator("main .help").count() >= helped


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if at % FEWER else [])
        for at, name in enumerate(EMPTY_PAGES)
    ],
)
def test_an_empty_page_fits_and_has_no_findings(look: Visit, alice: User, name: str) -> None:
    page = look(alice).go(demo_data.plain_addresses()[name])

    assert page.sideways((360, 1440)) == {}
    assert findings(page) == []


def test_what_can_hardly_be_read_or_has_no_name_is_found(look: Visit, operator: User) -> None:
    page = look(operator).go("/")
    page.run("""() => {
        const main = document.querySelector("main"), pale = document.createElement("p");
        pale.textContent = "pale";
        Object.assign(pale.style, { color: "#777", background: "#888" });
        main.append(pale, document.createElement("button"));
    }""")

    found = findings(page)

    assert sorted(line.partition(":")[0] for line in found) == ["button-name", "color-contrast"]
    assert "pale</p>" in found[-1] + found[0]


def test_a_slash_leads_to_the_search_and_one_thing_to_its_page(visit: Visit, operator: User) -> None:
    pool = demo_data.busy_pool()
    page = visit(operator).go("/gas/")

    page.page.keyboard.press("/")
    page.page.keyboard.type(pool.miner.address)
    page.page.keyboard.press("Enter")

    page.page.wait_for_url(f"**/miners/{pool.miner.address}/")


@pytest.mark.parametrize("path", ["/login/", "/nowhere/"])
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_pages_outside_the_frame_have_no_findings(look: Visit, path: str, scheme: str) -> None:
    page = look(None, color_scheme=scheme).go(path, live=False)

    assert page.sideways(WIDTHS) == {}
    assert findings(page) == []


@pytest.mark.parametrize("theme", [pytest.param("Dark", marks=pytest.mark.slow), "High contrast"])
def test_a_chosen_theme_stays_and_has_no_findings(visit: Visit, operator: User, theme: str) -> None:
    demo_data.busy_pool()
    page = visit(operator).go("/")

    page.see("button[popovertarget=theme]").click()
    page.page.get_by_role("button", name=theme).click()

    expect(page.see("html")).to_have_attribute("data-theme", theme.split()[-1].lower())
    page.wait_live()
    assert findings(page) == []
