"""Charts in a browser: their values by pointer and keys, no sideways page, and all of it without a script."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import pytest
from django.urls import reverse
from playwright.sync_api import Page, sync_playwright

from tests.browser.chrome import FLAGS, chrome_find
from tests.demo_data import Pool, busy_pool
from tests.history_rows import seeded, subjects
from tests.page_client import signed_in
from tests.people import operator_person

STATIC: Final = Path(__file__).parents[2] / "static"
SCRIPT: Final = (STATIC / "js/charts.js").read_text()
WIDER: Final = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
PICTURES: Final = os.environ.get("POOLSITE_PICTURES", "")
"""Folder for pictures of what was tested; empty: none are taken."""


def styled(address: str, *, theme: str = "light") -> str:
    """A page as a file: its styles in it, without scripts."""
    html = signed_in("olga").get(address).content.decode()
    html = re.sub(r"<link[^>]*stylesheet[^>]*>|<script.*?</script>", "", html, flags=re.DOTALL)
    names = ("tokens", "base", "components", "charts")
    styles = "".join((STATIC / f"css/{name}.css").read_text() for name in names)
    html = html.replace("<html", f'<html data-theme="{theme}"', 1)
    return html.replace("</head>", f"<style>{styles}</style></head>")


@pytest.fixture
def pool() -> Pool:
    operator_person()
    pool = busy_pool()
    seeded(pool)
    return pool


def shown(page: Page, html: str, *, width: int, name: str) -> bool:
    """Show a page; returns whether it goes sideways."""
    page.set_viewport_size({"width": width, "height": 900})
    page.set_content(html)
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}-{width}.png", full_page=True)
    return bool(page.evaluate(WIDER))


@pytest.mark.django_db
def test_charts_fit_both_widths_and_tell_their_values(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    addresses = {str(kind): reverse("trends", args=[kind, key]) for kind, (_, key) in subjects(pool).items()}
    themes = dict(zip(addresses, ("light", "dark") * 3, strict=False))
    pages = {name: styled(address, theme=themes[name]) for name, address in addresses.items()}

    with sync_playwright() as chrome:
        browser = chrome.chromium.launch(executable_path=chrome_find(), args=list(FLAGS))
        page = browser.new_page()
        sideways = {
            (name, width): shown(page, html, width=width, name=name)
            for name, html in pages.items()
            for width in (1440, 390)
        }
        page.set_viewport_size({"width": 1440, "height": 900})
        page.set_content(pages["host"])
        figure = page.locator("#trend-load")
        without_script = figure.locator(".trend-value").inner_text()
        page.add_script_tag(content=SCRIPT)
        plot = figure.locator("> svg")
        plot.hover(position={"x": 1, "y": 80})
        pointed = figure.locator(".trend-value").inner_text()
        plot.press("End")
        last = figure.locator(".trend-value").inner_text()
        plot.press("ArrowLeft")
        one_before = figure.locator(".trend-value").inner_text()
        rows = figure.locator("tbody tr th").all_text_contents()
        browser.close()

    assert not any(sideways.values()), sideways
    assert without_script == last
    assert "Processors 42" in last
    assert pointed.startswith(rows[0].strip())
    assert last.startswith(rows[-1].strip())
    assert one_before.startswith(rows[-2].strip())
