"""A request to a connection, its deadline, the answers that are waited for, and what an answer says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from apps.gateway.errors import NoAnswer, ProviderRefused, ProviderUnable

Json = Any


@dataclass(frozen=True, slots=True)
class HubRequest:
    """What is asked of whom."""

    route: str
    accounts: Collection[str] | None
    """The answer must come from a connection that serves one of them; None: from any."""
    method: str
    payload: Json
    is_repeatable: bool = False
    """May be asked of a second connection when the first is slow."""


class Deadline:
    """The end of a call; a clock that is set back does not prolong it."""

    def __init__(self, seconds: float) -> None:
        self.at = time.time() + seconds
        """Wall clock, which other processes share."""
        self.until = time.monotonic() + seconds

    def left_s(self) -> float:
        """Return the seconds that are left; 0 or less: none."""
        return min(self.at - time.time(), self.until - time.monotonic())


class PendingAnswers:
    """Answers that somebody waits for, by id."""

    def __init__(self) -> None:
        self.futures: dict[str, asyncio.Future[Json]] = {}

    def expect(self, key: str) -> asyncio.Future[Json]:
        """Return the future of an answer; before the request is sent, so that a quick answer finds it."""
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.futures[key] = future
        return future

    def resolve(self, key: str, value: Json) -> bool:
        """Deliver an answer; False if nobody waits for it (any more)."""
        future = self.futures.get(key)
        if future is None or future.done():
            return False
        future.set_result(value)
        return True

    def fail_all(self) -> None:
        """Raise NoAnswer in all who wait."""
        for future in self.futures.values():
            if not future.done():
                future.set_exception(NoAnswer("channel closed"))


def reply_result(reply: dict[str, Json]) -> Json:
    """Return what a provider answered.  Raises ProviderRefused, NoAnswer."""
    if reply["gone"]:
        raise NoAnswer(reply["error"])
    if reply["error"] and reply.get("unable"):
        raise ProviderUnable(reply["error"])
    if reply["error"]:
        raise ProviderRefused(reply["error"])
    return reply["result"]
