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
    if isinstance(value, str):
        return has_marks(value)
    if isinstance(value, dict):
        return any(marks_in(one) for pair in value.items() for one in pair)
    return isinstance(value, list) and any(map(marks_in, value))


def sanitize_text(text: str) -> str:
    """Return words without what PostgreSQL refuses, NUL and halves of a character, or what turns them around.

    A contract chooses the words with which it reverts, a tenant's signer those with which it refuses; one of
    them must stop nobody's queue, and none mislead who reads it.
    """
    return MARKS.sub("\ufffd", text.replace("\x00", "\u2400").encode(errors="replace").decode())
