"""What a person has typed while a page fetches itself, and what a click says that got no answer."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from apps.sectors.models import HostReport
from apps.users.models import User
from tests import factories
from tests.browser.conftest import Visit


def test_what_was_typed_stays_while_the_page_fetches_itself(visit: Visit, operator: User) -> None:
    factories.head(1000)
    sender = factories.sender(factories.wallet().address)
    page = visit(operator).go(reverse("sender", args=[sender.address]))
    page.see("[name=max_fee]").fill("0.5")
    page.mark("#f-page")

    page.ask_resync()

    page.wait_unmarked("#f-page")
    expect(page.see("[name=max_fee]")).to_have_value("0.5")


def test_what_was_opened_stays_while_the_page_fetches_itself(visit: Visit, alice: User) -> None:
    factories.head(1000)
    factories.sector(factories.miner(2001), number=7)
    page = visit(alice).go("/sectors/")
    page.see("#f-page details:not(.twin) > summary").click()
    page.see("[name=host]").fill("sealer-1")
    page.mark("#f-page")

    page.ask_resync()

    page.wait_unmarked("#f-page")
    expect(page.see("[name=host]")).to_be_visible()
    expect(page.see("[name=host]")).to_have_value("sealer-1")


def test_a_refused_form_stays_while_the_page_fetches_itself(visit: Visit, operator: User) -> None:
    factories.head(1000)
    sender = factories.sender(factories.wallet().address)
    page = visit(operator).go(reverse("sender", args=[sender.address]))
    page.see("[name=max_fee]").fill("much")
    page.page.get_by_role("button", name="Save").click()
    page.page.wait_for_url("**/settings/")
    page.wait_live()

    page.resync()

    expect(page.see("#max_fee-error")).to_be_visible()
    expect(page.see("[name=max_fee]")).to_have_value("much")
    expect(page.see("[name=max_fee]")).to_be_focused()
    page.see("[name=max_fee]").fill("0.5")
    page.page.get_by_role("button", name="Save").click()
    expect(page.see(".note")).to_contain_text("Saved.")


def test_a_refused_setting_stays_in_its_form(visit: Visit, operator: User) -> None:
    worker = factories.worker("sealer")
    kept = [{"key": key, "value": "1", "origin": "default"} for key in ("slots.PC1", "slots.PC2")]
    HostReport.objects.create(worker=worker, settings=kept)
    page = visit(operator).go(reverse("host", args=[worker.uuid]))
    page.see(f"[href='{reverse('host-setting', args=[worker.uuid])}']").click()
    page.see("[name='slots.PC1']").fill("3")
    page.see("[name='slots.PC2']").fill("much")
    page.see("[name='slots.PC2']").press("Enter")

    expect(page.see("[id='slots.PC2-error']")).to_be_visible()
    expect(page.see("[name='slots.PC2']")).to_be_focused()
    expect(page.see("[name='slots.PC1']")).to_have_value("3")
    page.see("[name='slots.PC2']").fill("")
    page.see("[name='slots.PC2']").press("Enter")
    expect(page.see(".note")).to_contain_text("Saved.")
    worker.refresh_from_db()
    assert worker.settings == {"slots.PC1": 3}


def test_the_caret_stays_in_what_is_typed_while_the_page_fetches_itself(visit: Visit, operator: User) -> None:
    factories.head(1000)
    sender = factories.sender(factories.wallet().address)
    page = visit(operator).go(reverse("sender", args=[sender.address]))
    page.see("[name=max_fee]").fill("0.1234")
    page.run("document.getElementById('max_fee').setSelectionRange(2, 4)")

    page.resync()

    kept = "(i => [document.activeElement === i, i.value, i.selectionStart, i.selectionEnd])"
    assert page.run(f"{kept}(document.getElementById('max_fee'))") == [True, "0.1234", 2, 4]


def test_what_was_closed_stays_closed_while_the_page_fetches_itself(visit: Visit, alice: User) -> None:
    factories.head(1000)
    factories.sector(factories.miner(2001), number=7)
    page = visit(alice).go("/sectors/?host=sealer-1")
    expect(page.see("[name=host]")).to_be_visible()
    page.see("#f-page details:not(.twin) > summary").click()

    page.resync()

    expect(page.see("[name=host]")).to_be_hidden()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (0, "Not confirmed"),
        pytest.param(502, "Not confirmed", marks=pytest.mark.slow),
        (403, "Not carried out"),
    ],
)
def test_a_click_without_an_answer_says_that_it_is_not_confirmed(
    visit: Visit, alice: User, status: int, says: str
) -> None:
    worker = factories.worker("sealer")
    page = visit(alice).go("/hosts/")
    page.forgive("htmx:", "ERR_", "Failed to load", "Response Status Error")
    page.page.route("**/pause/", lambda route: route.fulfill(status=status) if status else route.abort())

    page.see(f"#pause-{worker.pk}").click()

    expect(page.see("#unconfirmed > span:visible").first).to_contain_text(says)
    page.page.unroute("**/pause/")
    page.see(f"#pause-{worker.pk}").click()
    expect(page.see(f"#f-host-{worker.pk} .actions")).to_contain_text("Resume")
    expect(page.see("#unconfirmed")).to_be_hidden()
