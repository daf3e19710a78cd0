"""Coming in, finding one's way with the keyboard alone, reading without script, going out."""

from __future__ import annotations

from playwright.sync_api import expect

from apps.core.clock import now
from apps.sectors.models import Sector
from apps.sectors.services.sealing.steps import sector_stop
from apps.users.models import User
from apps.users.states import Role
from poolsite.wire.pipeline import SectorState
from tests import demo_data, factories
from tests.browser.conftest import Visit
from tests.browser.live import elsewhere
from tests.people import PASSWORD


def test_a_person_comes_in_and_goes_out(visit: Visit, alice: User) -> None:
    page = visit(None).go("/hosts/", live=False)
    expect(page.see("h1")).to_have_text("Sign in to Poolsite")

    page.see("#name").fill("ann")
    page.see("#pw").fill(PASSWORD)
    page.see("button[data-kind=primary]").click()
    expect(page.see("h1")).to_have_text("Hosts")
    page.wait_live()
    page.see("button[popovertarget=account]").click()
    page.page.get_by_role("button", name="Sign out").click()

    expect(page.see("h1")).to_have_text("Sign in to Poolsite")


def test_a_wrong_password_is_said_and_the_name_kept(visit: Visit, alice: User) -> None:
    page = visit(None).go("/login/", live=False)

    page.see("#name").fill("ann")
    page.see("#pw").fill("wrong")
    page.see("button[data-kind=primary]").click()

    expect(page.page.get_by_role("alert")).to_contain_text("Name and password do not match.")
    expect(page.see("#name")).to_have_value("ann")
    expect(page.see("#pw")).to_have_value("")


def test_the_keyboard_alone_leads_from_the_login_to_a_sector(visit: Visit, alice: User) -> None:
    factories.head(1000)
    factories.miner(2001)
    page = visit(None).go("/login/", live=False)
    keys = page.page.keyboard

    with factories.node_served():
        expect(page.see("#name")).to_be_focused()
        keys.type("ann")
        keys.press("Tab")
        keys.type(PASSWORD)
        keys.press("Enter")
        expect(page.see("h1")).to_have_text("Today")
        page.wait_live()
        page.tab_to("Skip to content")
        keys.press("Enter")
        expect(page.see("#main")).to_be_focused()
        page.tab_to("Pledge…")
        keys.press("Enter")
        expect(page.see("h1")).to_have_text("Pledge sectors")
        page.wait_live()
        page.tab_to("Number of sectors")
        page.tab_to("Review…")
        keys.press("Enter")
        expect(page.see("h1")).to_contain_text("Pledge 1 sector of")
        assert not Sector.objects.exists()
        page.wait_live()
        page.tab_to("Pledge 1 sector")
        keys.press("Enter")
        expect(page.see("h1")).to_have_text("f02001 / 0")

    assert Sector.objects.get().number == 0


def test_a_failed_job_is_retried_by_keyboard_and_the_result_is_announced(visit: Visit, alice: User) -> None:
    factories.head(1000)
    sector = factories.sector(factories.miner(2001), number=7, state=SectorState.PC1_DONE)
    elsewhere(lambda: sector_stop(sector, actor="a test", now=now()))
    page = visit(alice).go("/sectors/")
    verdict = page.see("#f-verdict strong")
    paused = verdict.inner_text()

    page.tab_to("Retry")
    page.page.keyboard.press("Enter")

    expect(page.see(f"#f-sector-{sector.uuid} .c-state")).to_have_text("waiting for PC2")
    expect(verdict).not_to_have_text(paused)
    announced = page.see("#announce[role=status]")
    expect(announced).to_contain_text(verdict.inner_text())
    expect(announced).not_to_contain_text("checks at")


def test_a_new_token_is_copied_by_one_click(visit: Visit, alice: User) -> None:
    type(alice).objects.filter(pk=alice.pk).update(role=Role.TENANT_ADMIN)
    page = visit(alice, permissions=["clipboard-read"]).go("/tokens/new/")
    page.see("#name").fill("miner one")
    page.see("#part").select_option("all")
    page.page.get_by_role("button", name="Create token").click()
    page.see("#confirm-password").fill(PASSWORD)
    page.page.get_by_role("button", name="Confirm", exact=True).click()
    token = page.see("#text").input_value()

    page.page.get_by_role("button", name="Copy").click()

    assert page.run("navigator.clipboard.readText()") == token


def test_focus_is_always_seen(visit: Visit, alice: User) -> None:
    page = visit(alice).go("/sectors/")

    for _ in range(15):
        page.page.keyboard.press("Tab")
        outline = page.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.run("document.activeElement.outerHTML.slice(0, 120)")


def test_pages_read_and_act_without_script(visit: Visit, alice: User) -> None:
    pool = demo_data.busy_pool()
    page = visit(alice, java_script_enabled=False)

    page.go("/sectors/", live=False)
    page.see(f"#retry-{pool.paused.uuid}").click()
    expect(page.see("#f-sector-head")).to_contain_text("waiting for PC2")
    page.go("/hosts/", live=False)
    page.see(f"#pause-{pool.sealer.pk}").click()
    expect(page.see(f"#f-host-{pool.sealer.pk}")).to_contain_text("pauses with its next heartbeat")


def test_a_phone_reaches_every_page(visit: Visit, alice: User) -> None:
    page = visit(alice, viewport={"width": 390, "height": 844}).go("/")

    for name in ("Wallets", "Hosts"):
        page.see("button[popovertarget=more]").click()
        page.see("#more").get_by_role("link", name=name).click()
        expect(page.see("h1")).to_have_text(name)
        page.wait_live()


def test_an_action_on_a_sectors_own_page_answers_there(visit: Visit, alice: User) -> None:
    pool = demo_data.busy_pool()
    page = visit(alice).go(f"/sectors/{pool.paused.uuid}/")

    page.see("#action-retry").click()

    expect(page.see("#f-sector-head")).to_contain_text("waiting for PC2")
    expect(page.see("#f-sector-timeline")).to_contain_text("Retried")
