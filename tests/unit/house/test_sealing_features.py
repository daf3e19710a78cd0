"""The table of a farm's features names what is there: each row once, each test that shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
TABLE: Final = ROOT / "docs" / "sealing-features.md"
LATER: Final = {14, 41, 43, 75}
"""Rows that may come later."""
ROW: Final = re.compile(r"\| (\d+) \| (P0|P1) \| (.+?) \| (.+?) \| (\S+) \|")


def rows() -> list[tuple[int, str, str, str]]:
    found = [ROW.fullmatch(line) for line in TABLE.read_text().splitlines()]
    return [(int(one[1]), one[2], one[4], one[5]) for one in found if one is not None]


def test_each_row_stands_there_once() -> None:
    assert [number for number, *_ in rows()] == [one for one in range(1, 76) if one not in LATER]


def test_each_test_that_is_named_exists() -> None:
    for number, priority, where, shown_by in rows():
        if shown_by == "–":
            assert (priority, where.startswith("missing: ")) == ("P1", True), number
            continue
        path, _, name = shown_by.partition("::")
        text = (ROOT / "tests" / path).read_text()
        assert re.search(rf"^(async )?def {name or 'test_'}", text, re.MULTILINE), f"row {number}: {shown_by}"
