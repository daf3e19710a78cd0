"""Two things at once, each in a thread with a connection of its own: one stops where the other is let in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import pytest
from django.db import connection

from apps.core.errors import DomainError

PATIENCE_S: Final = 20
HELD_S: Final = 0.4
"""How long the second one is watched waiting."""


class Held:
    """Something that runs on its own connection and stops at a named point inside its transaction."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.there, self.go_on = threading.Event(), threading.Event()
        self.outcome: Any = None
        self.thread = threading.Thread(target=self.run, args=(work,))

    def run(self, work: Callable[[], Any]) -> None:
        try:
            self.outcome = work()
        except Exception as failure:  # noqa: BLE001  # raised again by `end`, in the test's own thread
            self.outcome = failure
        finally:
            connection.close()

    def stop_after(self, patch: pytest.MonkeyPatch, where: str) -> None:
        """Stop this thread, and no other, when the function at `where` has done its work."""
        module, _, name = where.rpartition(".")
        real = getattr(import_module(module), name)

        def instead(*args: Any, **kwargs: Any) -> Any:
            found = real(*args, **kwargs)
            if threading.current_thread() is self.thread:
                self.there.set()
                assert self.go_on.wait(PATIENCE_S)
            return found

        patch.setattr(where, instead)

    def start(self) -> None:
        self.thread.start()

    def end(self) -> Any:
        """Return its result or its refusal, once it has gone on and ended.  Raises what else it raised."""
        self.go_on.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        if isinstance(self.outcome, Exception) and not isinstance(self.outcome, DomainError):
            raise self.outcome
        return self.outcome


@contextmanager
def besides(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    """Run `first` up to a point, start `second`, let `first` end: both outcomes, and if the second waited."""
    running: list[Held] = []

    def run(
        first: Callable[[], Any], where: str, second: Callable[[], Any], *, watched_s: float = HELD_S
    ) -> list[Any]:
        one, two = Held(first), Held(second)
        running.extend((one, two))
        one.stop_after(monkeypatch, where)
        one.start()
        assert one.there.wait(PATIENCE_S), one.outcome
        two.start()
        two.thread.join(watched_s)
        has_waited = two.thread.is_alive()
        return [one.end(), two.end(), has_waited]

    yield run
    for held in running:
        held.go_on.set()
        if held.thread.ident is not None:
            held.thread.join(PATIENCE_S)
