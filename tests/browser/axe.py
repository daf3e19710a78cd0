"""axe-core on a page, out of the package that brings it."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.browser.visitor import Visitor

RULES: Final = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    "selectors": False,
}
"""Of what passes nothing is described, which took longer than the rules."""
GRAVE: Final = ("serious", "critical")
RUN: Final = """async ([options, grave]) => {
    const mild = axe._audit.rules.filter(({ impact }) => impact && !grave.includes(impact));
    const rules = Object.fromEntries(mild.map(({ id }) => [id, { enabled: false }]));
    return (await axe.run(document, { ...options, rules })).violations.map(
        ({ id, help, impact, nodes }) => ({ id, help, impact, html: nodes.map(({ html }) => html) }));
}"""
"""Only what is told leaves the browser: a whole report has a megabyte.

A rule's impact is that of all it finds: those that can find nothing grave take a fifth of the time.
"""


@cache
def axe_script() -> str:
    """The checker itself; the package is only found, never imported."""
    package = find_spec("axe_playwright_python")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).with_name("axe.min.js").read_text()


def findings(page: Visitor) -> list[str]:
    """What axe-core holds for serious or critical on this page."""
    page.wait_still()
    if not page.run("'axe' in window"):
        page.run(axe_script())  # by the debugger's door: the page's own policy refuses foreign scripts
    return [
        f"{found['id']}: {found['help']}: {[html[:120] for html in found['html'][:3]]}"
        for found in page.run(RUN, [RULES, GRAVE])
        if found["impact"] in GRAVE
    ]
