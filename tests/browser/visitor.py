"""One person with one browser window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Locator, Page

EXPECTED: Final = ("status of 422", "status of 404")
"""Chromium notes every refusal as an error of loading; the pages show them in words."""


class Visitor:
    """A page with what its console complained about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.forgiven: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))

    def _hear(self, line: ConsoleMessage) -> None:
        known = (*EXPECTED, *self.forgiven)
        if line.type in ("error", "warning") and not any(word in line.text for word in known):
            self.complaints.append(f"{self.page.url}: {line.text}")

    def forgive(self, *words: str) -> None:
        """Let lines with these words pass: the test makes them happen."""
        self.forgiven += words

    def go(self, path: str, *, live: bool = True) -> Visitor:
        """Open a page; with `live` wait until its socket is open and its regions were fetched."""
        self.page.goto(self.url + path)
        if live:
            self.wait_live()
        return self

    def wait_live(self) -> None:
        """Return when the page says that it is live and has fetched itself."""
        expect(self.page.locator("#f-live")).to_have_attribute("data-tone", "ok", timeout=20_000)
        self.page.wait_for_load_state("networkidle")

    def see(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def run(self, script: str, value: Any = None) -> Any:
        return self.page.evaluate(script, value)
