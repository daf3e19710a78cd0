"""Helpers of several test files lie in modules without tests."""

from __future__ import annotations

import re
from typing import Final

from tests.timing import SITE

FROM_A_TEST: Final = re.compile(r"\s*(from tests\.[\w.]*\btest_\w+ import|from tests[\w.]* import .*\btest_)")


def test_no_file_takes_anything_from_a_test_file():
    found = [
        f"{path.relative_to(SITE)}: {line.strip()}"
        for path in sorted((SITE / "tests").rglob("*.py"))
        for line in path.read_text().splitlines()
        if FROM_A_TEST.match(line)
    ]
    assert found == []
