"""The devnet's time: wall clock, scaled if wished, or moved by hand."""

from __future__ import annotations

import time
from typing import Final, Protocol

JUMP_S: Final = 1.0
"""A difference to the computer's clock that is a jump."""


class Clock(Protocol):
    """Source of chain time."""

    def now(self) -> float:
        """UNIX seconds of the chain."""
        ...

    def wall_seconds(self, seconds: float) -> float:
        """Return how long to wait for so many chain seconds."""
        ...

    def not_before(self, seconds: float) -> None:
        """Move on to a time if the clock is behind it."""
        ...

    def skip(self, seconds: float) -> None:
        """Mining on demand: let chain seconds pass at once, if the clock can."""
        ...


class WallClock:
    """The computer's clock; `scale` chain seconds pass in each second.

    It never goes back: where the computer's clock does, chain time goes on as before.  At scale 1 it follows
    jumps forward, as after a sleep.
    """

    def __init__(self, *, scale: float = 1.0, offset: float = 0.0) -> None:
        """`offset`: seconds by which chain time is ahead of the computer's."""
        self.scale = scale
        self.offset = offset
        self._origin = time.time() + offset
        self._started = time.monotonic()

    def now(self) -> float:
        now = self._origin + (time.monotonic() - self._started) * self.scale
        ahead = time.time() + self.offset - now
        if self.scale == 1 and ahead > JUMP_S:
            self._origin += ahead
            now += ahead
        return now

    def wall_seconds(self, seconds: float) -> float:
        return seconds / self.scale

    def skip(self, seconds: float) -> None:
        self._origin += seconds
        self.offset += seconds

    def not_before(self, seconds: float) -> None:
        self.skip(max(seconds - self.now(), 0))


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

    def not_before(self, seconds: float) -> None:
        self.time = max(self.time, seconds)
