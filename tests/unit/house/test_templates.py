"""Templates fit an editor, have at most 150 lines, and every text in them can be translated."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3] / "templates"
TEMPLATES: Final = sorted(ROOT.rglob("*.html"))
WIDTH_MAX: Final = 120
LINES_MAX: Final = 150
MARKED: Final = re.compile(r"{% blocktranslate .*?{% endblocktranslate %}|{[%{#].*?[%}#]}", re.DOTALL)
TEXT: Final = re.compile(r"[^\W\d_]{2,}")
TEXT_ATTRIBUTES: Final = {"aria-label", "alt", "data-label", "placeholder", "title"}
SAME_EVERYWHERE: Final = {"CSV", "FIL", "JSON", "Poolsite", "WindowPoSt", "policy.toml"}
"""Names, units and formats."""
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


@pytest.mark.parametrize("file", TEMPLATES, ids=[str(file.relative_to(ROOT)) for file in TEMPLATES])
def test_lines_fit_and_texts_are_marked(file: Path) -> None:
    written = file.read_text()
    lines = written.splitlines()
    assert len(lines) <= LINES_MAX
    assert [line for line in lines if len(line) > WIDTH_MAX] == []

    texts = Texts()
    texts.feed(MARKED.sub("", written))
    bare = [text.strip(" ·\n") for text in texts.found if TEXT.search(text) and not EXAMPLES.search(text)]
    assert [text for text in bare if text not in SAME_EVERYWHERE] == []
