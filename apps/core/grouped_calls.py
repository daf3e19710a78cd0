"""Calls of many coroutines carried out together: those that come while others run go next, as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class GroupedCalls(Generic[T, R]):
    """One kind of call, of one event loop.  None waits for others to come, but for those that run now."""

    def __init__(self, carry_out: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]]) -> None:
        self.carry_out = carry_out
        """Answers each call in its place; an exception there is that call's alone."""
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, argument: T) -> R:
        """Return what comes of one call.  Raises what it raises, or what all of its group do."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((argument, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                try:
                    results = await self.carry_out([argument for argument, _ in group])
                except Exception as error:  # noqa: BLE001  # every waiting caller gets the error
                    results = [error] * len(group)
                for (_, future), result in zip(group, results, strict=True):
                    _answer(future, result)
        finally:
            self._task = None


def _answer(future: asyncio.Future[R], result: R | Exception) -> None:
    """Answer who waits, if anybody does any more."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
