"""Sentences and pages of the documents for operators are short."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.timing import SITE

FOLDERS: Final = ("data", "operations", "proving", "sealing", "storage")
BESIDE: Final = (
    *("command", "deployment", "large-pools", "make"),
    *("monitoring", "operations", "README", "requirements"),
)
MADE: Final = {"sealing/settings.md", "sealing/stages.md"}
"""Made from code: mostly a table."""
PAGES: Final = [
    *(
        page
        for folder in FOLDERS
        for page in sorted((SITE / "docs" / folder).glob("*.md"))
        if str(page.relative_to(SITE / "docs")) not in MADE
    ),
    *(SITE / "docs" / f"{name}.md" for name in BESIDE),
    SITE / "README.md",
]
WORDS_MAX: Final = 25
PAGE_WORDS_MAX: Final = 2_000
LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a page's prose, without tables; a piece of code counts as a word."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^    .*$|^\|.*$", "", prose, flags=re.MULTILINE)
    prose = LINK.sub(r"\1", re.sub(r"`[^`]*`", "code", prose))
    for paragraph in re.split(r"\n\s*\n|\n(?= *(?:[-#]|\d+\.) )", prose):
        yield from re.split(r"(?<=[.?!:])[*)]*\s", " ".join(paragraph.split()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_sentences_are_short(page: Path) -> None:
    long = [one for one in sentences(page.read_text()) if len(one.split()) > WORDS_MAX]

    assert long == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_pages_are_short(page: Path) -> None:
    assert len(page.read_text().split()) <= PAGE_WORDS_MAX


def test_words_of_a_sentence_are_counted_without_code_and_tables() -> None:
    text = "# Head\n\nOne `a b c` [two three](x.md).\n- four\n\n| a | b |\n\n```\ncode\n```\n"

    assert list(filter(None, sentences(text))) == ["# Head", "One code two three.", "- four"]
