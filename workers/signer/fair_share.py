"""What one gateway may have of the signer: whoever floods it waits, others are answered beside it.

A gateway's requests have a queue of their own, and only some of them are in the signer's threads at a time:
others' wait behind these, not behind the whole queue.  A request leaves it when its answer was taken.  What
comes faster than the rate waits in the network; what finds the queue full is refused, or gets no answer
where the gateway does not read even refusals.  Reading never waits for writing: two that did would do so for
ever.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import structlog

from poolsite.wire.leaky_bucket import LeakyBucket

log = structlog.get_logger(__name__)

SIGNING: Final = 4
"""Of a gateway's requests in threads at a time; one signs, the others are read and answered meanwhile."""
REQUESTS: Final = 16_000
"""In a gateway's queue: full batches of 32 senders of our own hub at once; some 80 MB."""
BUDGET_BYTES: Final = 64 * 1024 * 1024
"""In a gateway's queue; a request to sign a block has less than 10 kB as a frame."""
PER_S: Final = 4_000
"""Requests a second and gateway: twice what a signer signs, and eight times what a busy hub asks."""
REFUSALS: Final = 1_000
"""Of a gateway, that wait to be sent."""
FRAMES: Final = 2
"""Of a request: itself, and that its answer was taken."""
AT_ONCE_S: Final = 2.0
"""After a pause, so many seconds' worth may come at once."""
LOG_EVERY_S: Final = 60.0
"""How often the log says that a gateway is held back."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of each gateway."""

    requests: int = REQUESTS
    per_s: float = PER_S


class FairShare:
    """One gateway's; it outlives its sockets, so that a new dial changes nothing."""

    def __init__(self, url: str, limits: Limits) -> None:
        self.url = url
        self.limits = limits
        frames_per_s = limits.per_s * FRAMES
        self.pace = LeakyBucket(frames_per_s, frames_per_s * AT_ONCE_S)
        self.signing = asyncio.Semaphore(SIGNING)
        self.policy = asyncio.Semaphore(1)
        """Questions about the policy take seconds: one at a time, beside what is signed."""
        self.requests = 0
        self.size_bytes = 0
        self.said_at = -LOG_EVERY_S

    def enter(self, size_bytes: int) -> bool:
        """Admit a request of this size; False if the share is full."""
        is_full = self.requests >= self.limits.requests or (
            self.requests > 0 and self.size_bytes + size_bytes > BUDGET_BYTES
        )
        if is_full:
            self.log_warning("gateway_refused_too_many", waiting=self.requests)
            return False
        self.requests += 1
        self.size_bytes += size_bytes
        return True

    def leave(self, size_bytes: int) -> None:
        """Release a request's share."""
        self.requests -= 1
        self.size_bytes -= size_bytes

    async def read_pause(self) -> None:
        """Wait before the next frame is read, if they come too fast."""
        wait_s = self.pace.wait_s(time.monotonic())
        if wait_s:
            self.log_warning("gateway_throttled", per_s=self.limits.per_s)
            await asyncio.sleep(wait_s)

    def log_warning(self, event: str, **keys: float) -> None:
        """Log it, but not each time."""
        now = time.monotonic()
        if now - self.said_at > LOG_EVERY_S:
            self.said_at = now
            log.warning(event, url=self.url, **keys)
