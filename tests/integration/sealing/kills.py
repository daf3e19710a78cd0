"""Kills of the console between its writes, in the order in which they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest

from tests.integration.sealing.world import World


class Killed(BaseException):
    """The process ends here; no code of its own catches it."""


class Kills:
    """Kill the process once before and once after each of some writes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, writes: Iterable[tuple[ModuleType, str]]) -> None:
        self.left: set[tuple[str, str, bool]] = set()
        for module, name in writes:
            self.left |= {(module.__name__, name, after) for after in (False, True)}
            monkeypatch.setattr(module, name, self.dying(module.__name__, name, getattr(module, name)))

    def dying(self, module: str, name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        """Return a write that ends the process with its first two calls."""

        def call(*args: Any, **named: Any) -> Any:
            before, after = ((module, name, is_after) for is_after in (False, True))
            if before in self.left:
                self.left.remove(before)
                raise Killed
            answer = plain(*args, **named)
            if after in self.left:
                self.left.remove(after)
                raise Killed
            return answer

        return call


def kills_survived(world: World) -> None:
    """Have the world's epochs go on after a kill, as the next process would."""
    plain = world.epoch

    def epoch(count: int = 1, *, stride: int = 1) -> None:
        with suppress(Killed):
            plain(count, stride=stride)

    world.epoch = epoch  # type: ignore[method-assign]  # the kills are between its epochs
