"""Transferring a miner in a browser, on a desk and on a phone, while both tenants look at it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from apps.miners.models import Miner
from apps.users.models import User
from apps.users.services.grants import signer_grant, signer_grant_revoke
from tests import factories
from tests.browser.axe import findings
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.people import PASSWORD, tenant
from tests.transfer_fixtures import ADDRESS, TransferCase, transfer_case

PHONE = {"viewport": {"width": 390, "height": 844}}
DESK = {"viewport": {"width": 1440, "height": 900}}
PICTURES = os.environ.get("POOLSITE_PICTURES", "")
"""A folder to which each step's picture is written, for people who want to look."""


@pytest.fixture
def pool(transactional_db: None) -> TransferCase:
    factories.head(1000)
    return transfer_case()


def looked_at(page: Visitor, name: str) -> None:
    """Hold a page against what holds for all of them."""
    page.wait_still()
    if PICTURES:
        page.page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)
    size = page.page.viewport_size
    assert findings(page) == []
    assert page.sideways((360, 390)) == {}
    if size is not None:
        page.page.set_viewport_size(size)


@pytest.mark.parametrize(
    ("how", "name"),
    [
        (DESK, "desk-light"),
        pytest.param({**DESK, "color_scheme": "dark"}, "desk-dark", marks=pytest.mark.slow),
        pytest.param(PHONE, "phone-light", marks=pytest.mark.slow),
        ({**PHONE, "color_scheme": "dark"}, "phone-dark"),
    ],
    ids=["desk", "desk, dark", "phone", "phone, dark"],
)
def test_the_operator_hands_a_miner_over_by_two_clicks_and_a_password(
    visit: Visit, operator: User, pool: TransferCase, how: dict[str, object], name: str
) -> None:
    page = visit(operator, **how).go(f"/miners/{ADDRESS}/")
    looked_at(page, f"miner-{name}")

    page.page.get_by_role("link", name="Transfer…").click()
    page.see("#tenant").select_option("bob")
    looked_at(page, f"choose-{name}")
    page.page.get_by_role("button", name="Review changes…").click()
    expect(page.see("#f-miner-transfer")).to_contain_text("from alice to bob; alice no longer sees it")
    looked_at(page, f"plan-{name}")
    page.page.get_by_role("button", name="Transfer to bob").click()
    page.see("input[name=confirm-password]").fill(PASSWORD)
    page.see("button[data-kind=primary]").click()

    expect(page.see("#f-miner-head")).to_contain_text("Tenant bob. Transferred from alice")
    looked_at(page, f"done-{name}")
    assert Miner.objects.get().tenant.name == "bob"


@pytest.mark.parametrize("how", [pytest.param(DESK, marks=pytest.mark.slow), PHONE], ids=["desk", "phone"])
def test_transfer_blocker_links_to_the_page_that_resolves_it(
    visit: Visit, operator: User, pool: TransferCase, how: dict[str, object]
) -> None:
    bob = tenant("bob")
    signer_grant_revoke(tenant=bob, address=pool.worker_key)
    page = visit(operator, **how).go(f"/miners/{ADDRESS}/transfer/")

    page.see("#tenant").select_option("bob")
    page.page.get_by_role("button", name="Review changes…").click()
    expect(page.page.get_by_role("alert")).to_contain_text("bob may not sign with f3")
    looked_at(page, f"refused-{'desk' if how is DESK else 'phone'}")
    expect(page.see("#tenant")).to_have_value("bob")
    signer_grant(tenant=bob, address=pool.worker_key)
    page.page.get_by_role("button", name="Review changes…").click()

    expect(page.page.get_by_role("button", name="Transfer to bob")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "selector", "words"),
    [
        (f"/miners/{ADDRESS}/", "h1", "Miner of another tenant"),
        pytest.param("/miners/", "#main", "No miners yet", marks=pytest.mark.slow),
        ("/sectors/", "#main", "No sectors yet"),
        pytest.param("sector", "h1", "Sector of another tenant", marks=pytest.mark.slow),
    ],
)
def test_an_open_page_of_the_giver_loses_it_at_once(
    visit: Visit, alice: User, pool: TransferCase, path: str, selector: str, words: str
) -> None:
    path = f"/sectors/{pool.sector.uuid}/" if path == "sector" else path
    page = visit(alice).go(path)
    expect(page.see("#main")).to_contain_text("fra-1" if "miners" in path else "2001")
    page.note_when(selector, words)

    pool.go()
    committed = time.time()

    page.noted_soon(committed)
    expect(page.see(selector).first).to_contain_text(words)
    expect(page.see("#main")).not_to_contain_text("f02001")
    page.ask_resync()
    page.wait_swapped()
    expect(page.see(selector).first).to_contain_text(words)
    if PICTURES:
        page.page.screenshot(path=Path(PICTURES) / f"gone-{words.split()[0]}-{len(path)}.png", full_page=True)


def test_the_receivers_list_shows_it_at_once(visit: Visit, bob: User, pool: TransferCase) -> None:
    page = visit(bob).go("/miners/")
    expect(page.see("#main")).to_contain_text("No miners yet")

    pool.go()

    expect(page.see("#f-miner-table")).to_contain_text("fra-1")
