"""Own scripts and style sheets stay as small as decision 33 says, and colours are tokens."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
SCRIPTS: Final = {file.name: file.read_text().splitlines() for file in (ROOT / "static/js").glob("*.js")}
SHEETS: Final = {file.name: file.read_text() for file in (ROOT / "static/css").glob("*.css")}
SCRIPT_LINES: Final = 600
PAGE_LINES: Final = 400
LINE_MAX: Final = 130
"""Wider than Python's: a line is not broken to be counted twice, nor joined to be counted once."""
SHEET_BYTES: Final = 12_500
"""Compressed, of those that pages of the console load."""
DOCS_SHEET_BYTES: Final = 1_000
COLOUR: Final = re.compile(r"#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|oklch|lab|light-dark)a?\(", re.IGNORECASE)


def test_scripts_are_small() -> None:
    assert sum(map(len, SCRIPTS.values())) <= SCRIPT_LINES
    assert [line for lines in SCRIPTS.values() for line in lines if len(line) > LINE_MAX] == []


def test_a_page_loads_one_script_beside_those_of_every_page() -> None:
    everywhere = {"live.js", "charts.js", "keys.js"}
    shared = sum(len(SCRIPTS[name]) for name in everywhere)

    for template in (ROOT / "templates").rglob("*.html"):
        loaded = set(re.findall(r"static 'js/(\w+\.js)'", template.read_text())) - everywhere
        assert len(loaded) <= 1
        assert shared + sum(len(SCRIPTS[name]) for name in loaded) <= PAGE_LINES


def test_style_sheets_are_small() -> None:
    sizes = {name: len(gzip.compress(sheet.encode())) for name, sheet in SHEETS.items()}
    docs = sizes.pop("docs.css")

    assert sum(sizes.values()) <= SHEET_BYTES
    assert docs <= DOCS_SHEET_BYTES


def test_colours_stand_in_tokens_alone() -> None:
    found = {name: COLOUR.findall(sheet) for name, sheet in SHEETS.items() if name != "tokens.css"}

    assert {name: colours for name, colours in found.items() if colours} == {}
