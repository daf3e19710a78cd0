"""The devnet's time: wall clock, scaled if wished, or moved by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Gives chain time."""

    def now(self) -> float:
        """UNIX seconds of the chain."""
        ...

    def wall_seconds(self, seconds: float) -> float:
        """How long to wait for so many chain seconds."""
        ...

    def skip(self, seconds: float) -> None:
        """Mining on demand: let chain seconds pass at once, if the clock can."""
        ...


class WallClock:
    """The computer's clock; `scale` chain seconds pass in each second."""

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = scale
        self._start = time.time()
        self._skipped = 0.0

    def now(self) -> float:
        return self._start + (time.time() - self._start) * self.scale + self._skipped

    def wall_seconds(self, seconds: float) -> float:
        return seconds / self.scale

    def skip(self, seconds: float) -> None:
        self._skipped += seconds


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def wall_seconds(self, seconds: float) -> float:
        return seconds

    def skip(self, seconds: float) -> None:
        self.time += seconds
