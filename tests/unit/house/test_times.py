"""Pages write times and days by `apps/core/local_time.py`, which knows their language and zone."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.timing import SITE

BY_HAND: Final = re.compile(r"%b|%B|%[YHM][^\"']* UTC\b|\|date:\"[^\"]*[FMNbEDl]")
"""A month's name in English, or a time that always says UTC."""
OUTGOING: Final = {
    "apps/checks/services/quiet_hours.py": "so is what waited in quiet hours",
    "apps/checks/services/notification_texts.py": "alerts are sent in UTC",
    "apps/miners/services/role_leases.py": "told to hosts",
}


@pytest.mark.parametrize("folder", ["apps", "templates"])
def test_no_page_writes_a_time_by_hand(folder):
    found = {
        str(path.relative_to(SITE))
        for path in (SITE / folder).rglob("*")
        if path.suffix in (".py", ".html") and BY_HAND.search(path.read_text())
    }

    assert found - OUTGOING.keys() == set()
