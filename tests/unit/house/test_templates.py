"""Templates: short lines, translatable texts; each partial one element that says what it needs, and used."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3] / "templates"
TEMPLATES: Final = sorted(ROOT.rglob("*.html"))
WIDTH_MAX: Final = 120
LINES_MAX: Final = 150
LINES_MEDIAN: Final = 42
LINES_P90: Final = 90
"""Decision 32 says why these are not 30 and 60."""
LINES_WHOLE: Final = 100
"""A page whose cards stand in it up to here; a longer one is split by cards."""
PARTIALS: Final = [file for file in TEMPLATES if file.name.startswith("_")]
INCLUDE: Final = re.compile(r'{% include "([^"]+)"(.*?)%}')
SUBJECT: Final = re.compile(r"({#.*?#}\n)+")
CARDS: Final = {"section", "tr", "tbody"}
"""What a push or an answer replaces as a whole, so that it has an id; icons, chips and charts have none."""
VOID: Final = {"br", "hr", "img", "input"}
MARKED: Final = re.compile(
    r"{% block (?:form|back) %}.*?{% endblock.*?%}"
    r"|{% blocktranslate .*?{% endblocktranslate %}"
    r"|{[%{#].*?[%}#]}",
    re.DOTALL,
)
"""What nobody reads as it stands: attributes and addresses of forms, translated texts, tags."""
TEXT: Final = re.compile(r"[^\W\d_]{2,}")
TEXT_ATTRIBUTES: Final = {"aria-label", "alt", "data-label", "placeholder", "title"}
SAME_EVERYWHERE: Final = {"CSV", "Ctrl", "Ctrl K", "FIL", "JSON", "Poolsite", "WindowPoSt", "policy.toml"}
"""Names, units, formats and keys."""
EXAMPLES: Final = re.compile(r"token:/ip4/|https://…|Gateway\.\*|{\"Version\"")
"""What may be typed, as it is typed."""


class Texts(HTMLParser):
    """Collects what a person would read."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.is_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.is_code = tag in ("script", "style", "symbol")
        self.found += [value for name, value in attrs if name in TEXT_ATTRIBUTES and value]

    def handle_data(self, data: str) -> None:
        if not self.is_code:
            self.found.append(data)


def bare_texts(written: str) -> list[str]:
    """Return the texts of a template that are not marked for translation."""
    texts = Texts()
    texts.feed(MARKED.sub("", written))
    bare = [text.strip(" ·\n") for text in texts.found if TEXT.search(text) and not EXAMPLES.search(text)]
    return [text for text in bare if text not in SAME_EVERYWHERE]


def test_lines_fit_and_texts_are_marked(written: dict[str, str]) -> None:
    lines = {name: text.splitlines() for name, text in written.items()}

    assert [name for name in lines if len(lines[name]) > LINES_MAX] == []
    assert [(name, line) for name in lines for line in lines[name] if len(line) > WIDTH_MAX] == []
    assert {name: found for name, text in written.items() if (found := bare_texts(text))} == {}


class Roots(HTMLParser):
    """The outermost elements of a template, tags of its language left out, and text beside them."""

    def __init__(self, written: str) -> None:
        super().__init__()
        self.depth = 0
        self.roots: list[tuple[str, set[str]]] = []
        self.beside = ""
        self.feed(MARKED.sub("", written))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self.depth:
            self.roots.append((tag, {name for name, _ in attrs}))
        self.depth += tag not in VOID

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self.depth:
            self.roots.append((tag, {name for name, _ in attrs}))

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag not in VOID

    def handle_data(self, data: str) -> None:
        if not self.depth:
            self.beside += data.strip()


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    """Each template by its name."""
    return {str(file.relative_to(ROOT)): file.read_text() for file in TEMPLATES}


@pytest.fixture(scope="module")
def named() -> Counter[str]:
    """How often each template is named by another one, or by the module that renders or pushes it."""
    pages = (ROOT.parent / "apps" / "dashboard").rglob("*.py")
    return Counter(
        re.findall(r'"([\w/]+\.html)"', "".join(file.read_text() for file in (*TEMPLATES, *pages)))
    )


def partial_fault(written: str) -> str:
    """Return why a template is no partial; empty if it is one."""
    if not SUBJECT.match(written):
        return "it starts with no comment that names its context"
    found = Roots(written)
    if len(found.roots) != 1 or found.beside:
        return f"not one element: {found.roots} {found.beside}"
    tag, attributes = found.roots[0]
    return "" if tag not in CARDS or "id" in attributes else f"its {tag} has no id"


def test_a_partial_is_one_element_that_says_what_it_needs(written: dict[str, str]) -> None:
    partials = [str(file.relative_to(ROOT)) for file in PARTIALS]

    assert {name: fault for name in partials if (fault := partial_fault(written[name]))} == {}


def test_an_include_passes_what_is_needed_and_nothing_else(written: dict[str, str]) -> None:
    included = [(file, *found) for file, text in written.items() for found in INCLUDE.findall(text)]

    assert [(file, name) for file, name, given in included if not given.endswith(" only ")] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<p></p>", "it starts with no comment"),
        ("{# A line. #}\n<p></p><p></p>", "not one element"),
        ("{# A line. #}\n<p></p> and more", "not one element"),
        ("{# A card. #}\n<section></section>", "its section has no id"),
        ('{# A card. #}\n<section id="f"></section>', ""),
    ],
)
def test_what_is_no_partial_is_told(text: str, fault: str) -> None:
    assert partial_fault(text).startswith(fault)
    assert bool(partial_fault(text)) == bool(fault)


def test_a_partial_has_two_callers_or_spares_its_page_from_being_long(named: Counter[str]) -> None:
    included = {name: file for file in TEMPLATES for name, _ in INCLUDE.findall(file.read_text())}

    for file in PARTIALS:
        name = str(file.relative_to(ROOT))
        assert named[name], f"nothing shows {name}"
        if named[name] == 1 and name in included:
            lines = [len(one.read_text().splitlines()) for one in (file, included[name])]
            assert sum(lines) - 2 > LINES_WHOLE, f"{name} belongs into {included[name].name}"


def test_templates_are_short() -> None:
    lines = [len(file.read_text().splitlines()) for file in TEMPLATES]

    assert median(lines) <= LINES_MEDIAN
    assert quantiles(lines, n=10)[-1] <= LINES_P90
