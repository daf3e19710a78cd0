"""How people and programs write a sector: by its miner and number."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

DIGITS: Final = "[0-9]{1,18}"
NAMED: Final = re.compile(
    rf"(?:(?:\S*/)?s-)?[ft]0(?P<miner>{DIGITS})(?:\s*[-\u2010-\u2013\u2212/:,#]\s*#?|\s+#?)(?P<number>{DIGITS})",
    re.IGNORECASE,
)
"""`f01004-12`, `F01004 / 12` as the pages write it, `f01004 #12`, `sealed/s-t01004-12` as its file is called.

The dashes are those that texts and phones make of one.
"""


def sector_name_parse(text: str) -> tuple[int, int] | None:
    """Return a sector's miner, by its actor id, and number; None for any other text."""
    found = NAMED.fullmatch(unicodedata.normalize("NFKC", text).strip())
    return None if found is None else (int(found["miner"]), int(found["number"]))
