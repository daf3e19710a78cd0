"""Print an answer: a table of rows, the values of one object, or JSON."""

from __future__ import annotations

import json
import re
from typing import Any, Final

WIDEST: Final = 60
"""Characters of a column; longer values are cut, but not with `--json`."""
CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What would steer the terminal: a name or a line of a host's log may hold anything."""


def shown(answer: Any) -> str:
    """Return an answer as a person reads it."""
    rows = rows_of(answer)
    if rows is not None:
        return table(rows)
    if isinstance(answer, dict):
        width = max((len(name) for name in answer), default=0)
        return "\n".join(f"{name:<{width}}  {_text(value)}" for name, value in answer.items())
    return _text(answer)


def rows_of(answer: Any) -> list[Any] | None:
    """Return the rows of a list; None: the answer is no list."""
    rows = answer.get("results") if isinstance(answer, dict) else answer
    return rows if isinstance(rows, list) else None


def table(rows: list[Any]) -> str:
    """Return rows under the names of their plain values; lists and objects in them are left out."""
    if not rows:
        return "none"
    if not all(isinstance(row, dict) for row in rows):
        return "\n".join(_text(row) for row in rows)
    names = [name for name in rows[0] if not any(isinstance(row.get(name), dict | list) for row in rows)]
    lines = [names, *([_cut(_text(row.get(name))) for name in names] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDEST else line[: WIDEST - 1] + "…"


def _text(value: Any) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return CONTROL.sub("�", str(value))
