"""How many frames a socket may send in a second: what is more waits in the network, and nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class LeakyBucket:
    """A leaky bucket of frames."""

    per_s: float
    at_once: float
    due: float = 0.0
    """When the bucket would be empty, in the monotonic clock's seconds."""

    def wait_s(self, now: float) -> float:
        """Count a frame; give how long to wait before the next one is read."""
        self.due = max(self.due, now) + 1 / self.per_s
        return max(self.due - now - self.at_once / self.per_s, 0.0)
