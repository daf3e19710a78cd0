"""docs/large-pools.md: each need is its figure times its factor."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "large-pools.md"
NUMBER = r"\d[\d,]*(?:\.\d+)?"
ROUNDED = 0.03
"""Part by which what is written may differ from what is calculated; or half of its last digit."""


def rows() -> list[tuple[str, str, str, str]]:
    """The rows of the page that have figure, factor and need."""
    lines = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    return [tuple(map(str.strip, cells)) for cells in lines if len(cells) == 4 and "---" not in cells[0]]  # type: ignore[misc]


def number(text: str) -> float:
    """The first number of a cell."""
    found = re.match(NUMBER, text)
    assert found is not None, text
    return float(found[0].replace(",", ""))


def calculated(figure: str, factor: str) -> float:
    """A figure times its factor, as the row writes it: `× 3,034 ÷ 24 (words)`."""
    value = number(figure)
    steps = re.findall(rf"([×÷]) ({NUMBER})", re.sub(r"\([^)]*\)", "", factor))
    assert steps, factor
    for sign, digits in steps:
        value = value * number(digits) if sign == "×" else value / number(digits)
    return value


def test_each_need_is_its_figure_times_its_factor() -> None:
    wanted = [row for row in rows() if row[0] != "what"]

    assert len(wanted) > 25
    for what, figure, factor, need in wanted:
        written, found = number(need), calculated(figure, factor)
        digits = re.match(NUMBER, need)[0].partition(".")[2]  # type: ignore[index]
        assert abs(written - found) <= max(ROUNDED * found, 0.5 * 10 ** -len(digits)), what
