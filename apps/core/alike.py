"""Fingerprints that errors of one cause have in common, whatever names and numbers are in them."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from apps.core.reasons import Reason, is_whole

NAMES: Final = re.compile(r"(/[\w.\-]+)+|\b(?:baf|bag)\w{20,}|\b[0-9a-f]{12,}\b|\b[ft]0?\d+\b|\d[\d.,:]*")
"""Words that differ from object to object in one error."""
WORDS_MAX: Final = 300


def fingerprint(stage: str, error: str) -> str:
    """Return what objects that failed alike have in common: a reason's code, and the words of its values."""
    words = alike(error)[:WORDS_MAX]
    return hashlib.sha256(f"{stage}\0{words}".encode()).hexdigest()[:12]


def alike(error: Any) -> str:
    """Return what an error has in common with others like it."""
    if isinstance(error, Reason) and not is_whole(error.code):
        values = (value for _, value in sorted(error.values.items()))
        return f"{error.code}({' '.join(map(alike, values))})"
    if isinstance(error, list):
        return " ".join(map(alike, error))
    return NAMES.sub("#", str(error))
