"""Pages that are made from code say what the code says, and each page of the documents is linked."""

from __future__ import annotations

import posixpath
import re
from typing import Final

import pytest

from tests.reference_pages import PAGES
from tests.timing import SITE

LINK: Final = re.compile(r"\]\(([^)\s:#]+\.md)(?:#[^)\s]*)?\)")
HEADING: Final = re.compile(r"\A# (\d+)\. ")
"""Of a decision, with its number."""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_as_the_code_makes_it(path: str) -> None:
    assert (SITE / path).read_text() == PAGES[path](), "run: make docs"


def test_each_page_is_reached_from_the_index() -> None:
    """Decisions are listed by their folder; a reader of the index finds that."""
    seen, todo = set(), ["docs/README.md"]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        links = LINK.findall((SITE / page).read_text())
        todo += [posixpath.normpath(posixpath.join(posixpath.dirname(page), link)) for link in links]

    pages = {str(page.relative_to(SITE)) for page in (SITE / "docs").rglob("*.md")}
    linked = {page for page in pages if page in seen or re.match(r"docs/decisions/\d", page)}
    assert "docs/decisions/README.md" in seen
    assert sorted(pages - linked) == []


def test_each_decision_has_a_number_of_its_own() -> None:
    pages = sorted((SITE / "docs" / "decisions").glob("[0-9]*.md"))
    numbers = [int(page.name.partition("-")[0]) for page in pages]

    assert numbers == sorted(set(numbers))
    assert [HEADING.findall(page.read_text())[:1] for page in pages] == [[str(number)] for number in numbers]
