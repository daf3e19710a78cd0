"""What a connection did: counted where it is held, written down every few seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from apps.core.reasons import fitted

TIMES_KEPT: Final = 512
"""Answers over which the quantiles are taken: the last minutes of a busy connection."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What is written to a connection's row."""

    requests: int
    """Since the last time."""
    failures: int
    """Since the last time."""
    in_flight: int
    """Now."""
    p50_ms: float | None
    """Over the last answers; None before the first."""
    p99_ms: float | None
    last_failure: str


class Meter:
    """Counts one connection's requests."""

    def __init__(self) -> None:
        self.requests = 0
        self.failures = 0
        self.last_failure = ""
        self.times_ms: deque[float] = deque(maxlen=TIMES_KEPT)
        self.written = 0
        """In flight when it was last written down."""

    def failed(self, reason: str) -> None:
        """Count a request that brought nothing."""
        self.failures += 1
        self.last_failure = fitted(reason, 200)

    def answered(self, seconds: float) -> None:
        """Note how long an answer took."""
        self.times_ms.append(seconds * 1000)

    def read(self, in_flight: int) -> Activity | None:
        """Return what is new since the last time; None if nothing is."""
        if not self.requests and not self.failures and in_flight == self.written:
            return None
        times = sorted(self.times_ms)
        found = Activity(
            requests=self.requests,
            failures=self.failures,
            in_flight=in_flight,
            p50_ms=times[len(times) // 2] if times else None,
            p99_ms=times[len(times) * 99 // 100] if times else None,
            last_failure=self.last_failure,
        )
        self.requests = self.failures = 0
        self.written = in_flight
        return found
