"""Texts of people and of other programs: without what PostgreSQL refuses, shown as they are written."""

from __future__ import annotations

import re
from typing import Final

MARKS: Final = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
"""Characters that reverse the text after them, such as U+202E, or are invisible."""


def has_marks(text: str) -> bool:
    """Return whether a text has such characters: it would be shown otherwise than it is written."""
    return MARKS.search(text) is not None


def marks_in(value: object) -> bool:
    """Return whether any text in a JSON document has such characters."""
    waiting = [value]  # by recursion a document that nests deeply would end in RecursionError
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and has_marks(one):
            return True
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
    return False


def sanitize_text(text: str) -> str:
    """Return words without what PostgreSQL refuses, NUL and halves of a character, or what turns them around.

    A contract chooses the words with which it reverts, a tenant's signer those with which it refuses; one of
    them must stop nobody's queue, and none mislead who reads it.
    """
    return MARKS.sub("\ufffd", text.replace("\x00", "\u2400").encode(errors="replace").decode())
