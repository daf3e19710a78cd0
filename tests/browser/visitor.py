"""One person with one browser window."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from playwright.sync_api import ConsoleMessage, Locator, Page, Route, expect

EXPECTED: Final = ("status of 422", "status of 404")
"""Chromium notes every refusal as an error of loading; the pages show them in words."""
BUSY: Final = ".htmx-request, .htmx-swapping, .htmx-settling, .htmx-added"
"""What htmx is asking for or has half put in its place."""
SETTLED: Final = """async () => {
    await Promise.all([...document.images].map(image => image.decode().catch(() => null)));
    await document.fonts.ready;
    await Promise.allSettled(document.getAnimations().map(moving => moving.finished));
}"""
"""A colour on its way from light to dark has a contrast of its own."""
NOTE: Final = """([selector, words]) => {
    window.noted = 0;
    window.loads = [];
    new MutationObserver((_, watch) => {
        if (!document.querySelector(selector)?.textContent.includes(words)) return;
        noted = Date.now();
        watch.disconnect();
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
LOAD: Final = """async () => {
    const end = performance.now() + 60000;
    do {
        const begun = performance.now();
        await (await fetch(location.href, { cache: 'no-store' })).text();
        loads.push((performance.now() - begun) / 1000);
    } while (!noted && performance.now() < end);
}"""
BATCH_S: Final = 0.5
"""A change may be held so long until others join it (apps.dashboard.live), and a moment to be drawn."""
LOADS: Final = 8
"""A change is shown sooner than a page could be loaded so many times on this machine at this moment."""
HELD_WITHIN_S: Final = 60.0


class Visitor:
    """A page with what its console complained about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.forgiven: list[str] = []
        self.held: list[Callable[[], None]] = []
        self.is_holding = False
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
        expect(self.page.locator("#f-live")).to_have_attribute("data-tone", "ok")
        self.wait_swapped()

    def wait_swapped(self) -> None:
        """Return when nothing is fetched or swapped; a page that turns live fetches itself at once."""
        expect(self.page.locator(BUSY)).to_have_count(0)

    def wait_still(self) -> None:
        """Return when the page stands as it will be read: loaded, swapped, drawn, nothing moving."""
        self.page.wait_for_load_state("load")
        expect(self.page.locator("#f-live[data-tone=idle]")).to_have_count(0)  # it fetches itself after that
        self.wait_swapped()
        self.run(SETTLED)

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
        self.mark("#f-page")
        self.ask_resync()
        self.wait_unmarked("#f-page")
        self.wait_swapped()

    def ask_resync(self) -> None:
        self.run("document.body.dispatchEvent(new Event('resync'))")

    def tab_to(self, label: str, *, steps: int = 90) -> None:
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
            self.wait_still()
            over = int(
                self.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            )
            if over > 0:
                found[width] = over
        return found

    def note_when(self, selector: str, words: str) -> None:
        """Have the page note when this element says these words: asking now and then is too coarse."""
        self.run(NOTE, [selector, words])

    def noted_s(self) -> float:
        """When it did, by the clock that this process has too."""
        return float(self.run("noted")) / 1000

    def noted_soon(self, since_s: float) -> None:
        """Wait for what is noted, loading the page meanwhile, and require it to be there about as soon.

        A limit in seconds would judge the machine: what else runs on it slows down both.
        """
        self.run(LOAD)
        loads = [float(one) for one in self.run("loads")]
        usual_s = sum(loads) / len(loads)
        assert self.run("noted"), "it was never shown"
        took_s = self.noted_s() - since_s
        assert took_s < BATCH_S + LOADS * usual_s, f"{took_s:.2f} s, while the page loads in {usual_s:.2f} s"

    def hold(self, pattern: str) -> None:
        """Keep requests to these addresses until `release`."""
        self._hold(pattern, lambda route: route.continue_)

    def hold_answers(self, pattern: str) -> None:
        """Let these requests be answered, and keep the answers until `release`."""

        def answered(route: Route) -> Callable[[], None]:
            answer = route.fetch()
            return lambda: route.fulfill(response=answer)

        self._hold(pattern, answered)

    def _hold(self, pattern: str, let_go_of: Callable[[Route], Callable[[], None]]) -> None:
        def keep(route: Route) -> None:
            if self.is_holding:
                self.held.append(let_go_of(route))
            else:
                route.continue_()

        self.is_holding = True
        self.page.route(pattern, keep)

    def wait_held(self, count: int = 1) -> None:
        """Return when so many requests or answers are held."""
        until = time.monotonic() + HELD_WITHIN_S
        while len(self.held) < count:
            assert time.monotonic() < until, "nothing came to be held"
            self.page.wait_for_timeout(20)

    def release(self) -> None:
        """Let go of what is held, and hold nothing more."""
        self.is_holding = False
        for let_go in self.held:
            let_go()
        self.held.clear()

    def mark(self, selector: str) -> None:
        """Mark an element, so that its replacement shows."""
        self.run("selector => { document.querySelector(selector).dataset.marked = '1'; }", selector)

    def wait_unmarked(self, selector: str) -> None:
        expect(self.see(f"{selector}:not([data-marked])")).to_be_attached()

    def see(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def run(self, script: str, value: Any = None) -> Any:
        return self.page.evaluate(script, value)
