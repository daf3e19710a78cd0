"""How people and programs write a sector: by its miner and number."""

from __future__ import annotations

import re
from typing import Final

DIGITS: Final = "[0-9]{1,18}"
NAMED: Final = re.compile(rf"(?:s-)?[ft]0(?P<miner>{DIGITS})(?:-|\s*/\s*|\s+)(?P<number>{DIGITS})")
"""`f01004-12`, `f01004 / 12` as the pages write it, `s-t01004-12` as its files are called."""


def sector_name_parse(text: str) -> tuple[int, int] | None:
    """Return a sector's miner, by its actor id, and number; None for any other text."""
    found = NAMED.fullmatch(text.strip())
    return None if found is None else (int(found["miner"]), int(found["number"]))
