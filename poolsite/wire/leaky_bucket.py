"""How many frames a socket may send in a second: what is more waits in the network, and nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class LeakyBucket:
    """A leaky bucket of frames."""

    per_s: float
    burst: float
    empty_at: float = 0.0
    """When the bucket would be empty, in the monotonic clock's seconds."""

    def wait_s(self, now: float) -> float:
        """Count a frame; give how long to wait before the next one is read."""
        self.empty_at = max(self.empty_at, now) + 1 / self.per_s
        return max(self.empty_at - now - self.burst / self.per_s, 0.0)
