"""Sentences that pages and checks put together are marked for translation, with named placeholders."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.timing import SITE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOMS: Final = ("apps/dashboard", "apps/checks")
WORDS: Final = re.compile(
    r"(^|[ {}(])[A-Za-z]{3,},? [a-z]{2,}|\} [a-z]{2,}|[a-z]{2,} \{\}|[a-z]{3,}: \{\}", re.ASCII
)
UNIT: Final = re.compile(r"[;:, ]*\{\} ?(ms|ep|h|s|d|FIL|nFIL|B)?")
FOR_PROGRAMS: Final = ("ImproperlyConfigured", "RuntimeError", "TypeError", "ValueError", "reverse")
"""What takes a text that no person reads on a page."""
COMMAND: Final = "make "
"""Begins what is typed into a shell, the same in every language."""


def unmarked(source: str) -> Iterator[str]:
    """Yield the f-strings that read as words of a sentence."""
    tree = ast.parse(source)
    inside = {
        id(part)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in FOR_PROGRAMS
        for part in ast.walk(call)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in inside:
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
            if WORDS.search(text) and not UNIT.fullmatch(text) and not text.startswith(COMMAND):
                yield f"{node.lineno}: {text}"


@pytest.mark.parametrize("room", ROOMS)
def test_what_people_read_is_marked_for_translation(room: str) -> None:
    found = {
        f"{path.relative_to(SITE)}:{line}"
        for path in sorted((SITE / room).rglob("*.py"))
        for line in unmarked(path.read_text())
    }

    assert found == set()


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("f'{many} lost'", 1),
        ("f'waiting for {host}'", 1),
        ("gettext('{many} lost').format(many=many)", 0),
        ("f'{size} GiB'", 0),
        ("f'{took} ms'", 0),
        ("ValueError(f'no such {name}')", 0),
    ],
)
def test_a_sentence_is_known_from_a_number_with_its_unit(source: str, count: int) -> None:
    assert len(list(unmarked(source))) == count
