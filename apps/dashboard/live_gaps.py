"""Lost events: a process notices that its connection to the channel layer was interrupted."""

from __future__ import annotations

import time
from typing import Any, Final

from apps.core.redis_clients import redis_client

PROBE_S: Final = 1.0
"""How often a process sends itself a message, to notice that it lost events."""


class GapDetector:
    """Detects lost events: the channel layer reports nothing when its connection was interrupted."""

    def __init__(self) -> None:
        self.number = 0
        self.server = ""
        self.last_at = time.monotonic()

    def has_gap(self, event: dict[str, Any]) -> bool:
        """Return whether events may be lost: after a silence, a lost probe, or another start of Redis."""
        silence, self.last_at = time.monotonic() - self.last_at, time.monotonic()
        if event["type"] != "live.probe":
            return silence > 3 * PROBE_S
        expected, self.number = self.number + 1, event["number"]
        before, self.server = self.server or event["server"], event["server"]
        return silence > 3 * PROBE_S or self.number != expected or self.server != before


def server_run() -> str:
    """Name this start of Redis: another one has lost what was published in between."""
    return str(redis_client().info("server")["run_id"])
