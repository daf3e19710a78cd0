"""What people read on a page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

SHOWN: Final = ("aria-label", "title", "placeholder", "alt", "data-live", "data-offline")
"""Attributes that people see or hear."""
VERBATIM: Final = frozenset({"code", "pre", "script", "style", "kbd"})


class Words(HTMLParser):
    """The texts of a page that people read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.inside: list[str] = []
        self.feed(html)

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
