"""Lookups that all who ask the same at one time share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SharedLookups:
    """Lookups in progress: who asks the same while one runs gets its result, so a batch costs one."""

    def __init__(self) -> None:
        self._running: dict[tuple[Any, ...], asyncio.Future[Any]] = {}

    async def get(self, key: tuple[Any, ...], lookup: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what a lookup finds."""
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.ensure_future(lookup())
            running.add_done_callback(lambda _: self._running.pop(key, None))
        found: T = await asyncio.shield(running)
        return found
