"""Tables hold: no name or comment, however long, pushes a column out, and the name stays in sight."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from django.db.models import Value
from django.db.models.functions import Concat
from playwright.sync_api import Page, sync_playwright

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import Worker
from apps.users.models import Tenant, Token
from tests import people
from tests.browser.chrome import FLAGS, chrome_find
from tests.demo_data import busy_pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person

STYLES: Final = Path(__file__).parents[2] / "static/css"
PAGES: Final = (
    *("tenants", "planner", "hosts", "sectors", "miners", "senders", "messages", "tokens", "pieces"),
    *("allocations", "claims", "audit", "people", "stores", "money", "gateway"),
)
TOO_WIDE: Final = """() => [...document.querySelectorAll('.scroll')]
  .filter(one => one.scrollWidth > one.clientWidth).map(one => [one.scrollWidth, one.clientWidth])"""
NAME_AT: Final = """() => {
  const table = document.querySelector('.scroll'), name = document.querySelector('tbody .c-name');
  table.scrollLeft = 400;
  return [table.scrollLeft > 0, name.getBoundingClientRect().left - table.getBoundingClientRect().left];
}"""


def styled(path: str) -> str:
    """A page as a file: its styles in it, without scripts."""
    html = text_of(signed_in("olga").get(f"/{path}/"))
    html = re.sub(r"<link[^>]*stylesheet[^>]*>|<script.*?</script>", "", html, flags=re.DOTALL)
    names = ("tokens", "base", "components", "charts")
    styles = "".join((STYLES / f"{name}.css").read_text() for name in names)
    return html.replace("</head>", f"<style>{styles}</style></head>")


@pytest.fixture
def long_names() -> None:
    """Have the longest comment and names that anything can have."""
    busy_pool()
    operator_person()
    Tenant.objects.update(comment="long " * 51)
    Miner.objects.update(name="m" * 64)
    people.token("read")
    Token.objects.update(name="t" * 60)
    Message.objects.exclude(error="").update(error="because " * 30)
    Message.objects.update(push_id=Concat(Value("i" * 60), "push_id"))
    Piece.objects.update(error="broken " * 40)
    for row in Worker.objects.all():
        Worker.objects.filter(pk=row.pk).update(name=f"{row.pk}".ljust(64, "h"))


def opened(page: Page, html: str, width: int) -> Page:
    page.set_viewport_size({"width": width, "height": 900})
    page.set_content(html)
    return page


@pytest.mark.django_db
@pytest.mark.usefixtures("long_names")
def test_a_long_text_pushes_no_column_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    pages = {path: styled(path) for path in PAGES}
    assert 'title="long long' in pages["tenants"]
    assert 'title="mmmm' in pages["miners"]

    with sync_playwright() as chrome:
        browser = chrome.chromium.launch(executable_path=chrome_find(), args=list(FLAGS))
        page = browser.new_page()
        too_wide = {
            (path, width): opened(page, html, width).evaluate(TOO_WIDE)
            for path, html in pages.items()
            for width in (1440, 390)
        }
        is_scrolled, left = opened(page, pages["miners"], 900).evaluate(NAME_AT)
        browser.close()

    assert not any(too_wide.values()), too_wide
    assert is_scrolled
    assert left == pytest.approx(0, abs=1)


@pytest.mark.django_db
def test_a_phone_folds_what_passes_and_shows_it_at_a_tap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    busy_pool()
    operator_person()
    html = styled("status/checks")

    with sync_playwright() as chrome:
        browser = chrome.chromium.launch(executable_path=chrome_find(), args=list(FLAGS))
        page = browser.new_page()
        shown = [page.locator(f"tbody{one}:visible") for one in (" > tr", " > tr[data-tone]", " .sub.rest")]
        opened(page, html, 1440)
        on_desktop = [one.count() for one in shown]
        opened(page, html, 390)
        on_phone = [one.count() for one in shown]
        page.locator(".more > summary").click()
        after_tap = [one.count() for one in shown]
        browser.close()

    every, failing, _ = on_desktop
    assert 0 < failing < every
    assert on_phone == [failing, failing, 0]
    assert after_tap == on_desktop
