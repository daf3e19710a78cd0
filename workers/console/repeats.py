"""Which of the same warnings, one after another, are worth a line in the log."""

from __future__ import annotations

import time
from typing import Final

AGAIN_S: Final = 600.0
"""After this a warning that still holds is logged once more."""


class Repeats:
    """What was logged last of each subject."""

    def __init__(self) -> None:
        self._logged: dict[str, tuple[str, float]] = {}

    def is_news(self, subject: str, reason: str) -> bool:
        """Return whether to log this: the first time, with another reason, and then seldom."""
        now = time.monotonic()
        before, at = self._logged.get(subject, ("", 0.0))
        if reason == before and now - at < AGAIN_S:
            return False
        self._logged[subject] = (reason, now)
        return True

    def end(self, subject: str) -> bool:
        """Return, once, whether what was logged is over now."""
        return self._logged.pop(subject, None) is not None
