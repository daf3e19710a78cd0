"""What the console counts by is written once: a day in seconds and in epochs, and a FIL in attoFIL."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.timing import SITE

HOMES: Final = {
    "apps/core/clock.py:DAY_S": r"\b86_?400\b|\b24 \* 3_?600\b",
    "poolsite/filecoin/policy.py:EPOCHS_PER_DAY_MAINNET": r"(?<!\[)\b2_?880\b",
    "poolsite/filecoin/amounts.py:FIL": r"\b10 ?\*\* ?18\b",
}
OTHERS: Final = {"poolsite/filecoin/actors/allocations.py": "attoDataCap of a byte, which is no FIL"}


@pytest.mark.parametrize("home", HOMES)
def test_a_constant_is_written_in_its_home_alone(home: str) -> None:
    folders = [SITE / "apps", SITE / "poolsite" / "filecoin"]
    paths = (path for folder in folders for path in folder.rglob("*.py") if "migrations" not in path.parts)
    written = {str(path.relative_to(SITE)) for path in paths if re.search(HOMES[home], path.read_text())}

    assert written - OTHERS.keys() == {home.partition(":")[0]}
