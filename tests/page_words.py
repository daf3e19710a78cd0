"""What people read on a page."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from typing import Final

from apps.core.catalogue import CATALOGUE
from apps.core.catalogue_files import catalogue_read

SHOWN: Final = ("aria-label", "title", "placeholder", "alt", "data-live", "data-offline")
"""Attributes that people see or hear."""
VERBATIM: Final = frozenset({"code", "pre", "script", "style", "kbd"})

HOLE: Final = re.compile(r"\{[^{}]*\}|%\([a-zA-Z_0-9]+\)[sd]|<[^>]*>|&[a-z]+;")
SENTENCE: Final = re.compile(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,}")
"""English words in a row, which no name or figure of a page is."""
LETTERS: Final = re.compile(r"(?<![\w./:@…-])[A-Za-z]{2,}(?![\w/@…-]|\.\w)")
"""A word of letters alone, which is no part of an address, a number or a file's name."""
ADDRESS: Final = re.compile(r"https?://\S+")
DATA: Final = frozenset({"Send", "pool"})
"""Names of a method and a tenant, which are also words of pages."""


class Words(HTMLParser):
    """The texts of a page that people read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.inside: list[str] = []
        self.feed(html.replace("<wbr>", ""))  # where a name may break

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VERBATIM:
            self.inside.append(tag)
        self.texts += [value for name, value in attrs if name in SHOWN and value]

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not self.inside and data.strip():
            self.texts.append(" ".join(data.split()))


@cache
def english() -> tuple[frozenset[str], re.Pattern[str]]:
    """Return the texts that have a translation, and what their longer parts look like inside of others."""
    whole, parts = set(), set()
    for message in catalogue_read(CATALOGUE):
        texts = [message.id] if isinstance(message.id, str) else message.id
        translation = "".join(message.string or "")
        for text in texts:
            if not text or text == translation:
                continue
            whole.add(text)
            parts |= {
                part
                for one in HOLE.split(text)
                if len(part := one.strip()) > 12 and part.count(" ") > 1 and part not in translation
            }
    return frozenset(whole), re.compile("|".join(map(re.escape, sorted(parts, key=len, reverse=True))))


def untranslated(html: str) -> set[str]:
    """Return the English texts of a page that have a translation."""
    whole, parts = english()
    return {text for text in Words(html).texts if text in whole or parts.search(text)} - DATA


def english_of(html: str) -> set[str]:
    """Return what is English on a page: texts of the catalogue, and sentences that nobody marked."""
    return untranslated(html) | {text for text in Words(html).texts if SENTENCE.search(text)}


def latin_words(text: str, *, names: frozenset[str] = frozenset()) -> set[str]:
    """Return the words in Latin letters of a text that are none of these names."""
    return {*LETTERS.findall(ADDRESS.sub("", text))} - names
