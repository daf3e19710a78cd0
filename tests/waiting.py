"""Waiting for what another thread, task or process does, with an end that says what did not happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

PATIENCE_S: Final = 300.0
"""Longer than a machine that others use stands still: a patience that is not used up is free."""
PAUSE_S: Final = 0.01
"""Between two looks."""


def until(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds.  Raises AssertionError if it never does."""
    for pause_s in _looks(condition):
        time.sleep(pause_s)


async def until_async(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds while other tasks go on.  Raises AssertionError if it never does."""
    for pause_s in _looks(condition):
        await asyncio.sleep(pause_s)


def _looks(condition: Callable[[], Any]) -> Iterator[float]:
    """Yield the pause before each further look, until the condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE_S:.0f} s: {_place(condition)}"
        yield PAUSE_S


def _place(condition: Callable[[], Any]) -> str:
    """Return where a condition is written."""
    code = getattr(condition, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(condition)
