"""One person with one browser window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Locator, Page, Route

EXPECTED: Final = ("status of 422", "status of 404")
"""Chromium notes every refusal as an error of loading; the pages show them in words."""


class Visitor:
    """A page with what its console complained about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.forgiven: list[str] = []
        self.held: list[Route] = []
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

    def another(self) -> Visitor:
        """Another window of the same person."""
        return Visitor(self.page.context.new_page(), self.url)

    def listen(self) -> None:
        """Keep what the socket brings from now on."""
        keep = "event => heard.push(event.detail.message)"
        self.run(f"window.heard = []; document.addEventListener('htmx:wsAfterMessage', {keep})")

    def frames(self) -> list[str]:
        return list(self.run("window.heard"))

    def resync(self) -> None:
        """Let the page fetch its regions again, and wait for it."""
        with self.page.expect_response(self.page.url):
            self.run("document.body.dispatchEvent(new Event('resync'))")
        self.page.wait_for_load_state("networkidle")

    def tab_to(self, label: str, *, steps: int = 60) -> None:
        """Press Tab until what is called `label` has the focus."""
        called = (
            "(e => (e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent).trim())"
            "(document.activeElement)"
        )
        for _ in range(steps):
            self.page.keyboard.press("Tab")
            if self.run(called) == label:
                return
        raise AssertionError(f"Tab does not reach {label!r}")

    def sideways(self, widths: tuple[int, ...]) -> dict[int, int]:
        """How far the page can be scrolled sideways, at the widths at which it can."""
        found = {}
        for width in widths:
            self.page.set_viewport_size({"width": width, "height": 900})
            over = int(
                self.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            )
            if over > 0:
                found[width] = over
        return found

    def hold(self, pattern: str) -> None:
        """Keep requests to these addresses until `release`."""
        self.page.route(pattern, lambda route: self.held.append(route))

    def release(self) -> None:
        for route in self.held:
            route.continue_()
        self.held.clear()

    def mark(self, selector: str) -> None:
        """Mark an element, so that its replacement shows."""
        self.run("selector => { document.querySelector(selector).dataset.marked = '1'; }", selector)

    def wait_unmarked(self, selector: str) -> None:
        expect(self.see(f"{selector}:not([data-marked])")).to_be_attached(timeout=3000)

    def see(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def run(self, script: str, value: Any = None) -> Any:
        return self.page.evaluate(script, value)
