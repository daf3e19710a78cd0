"""How long a store that may never answer is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.storage import answers
from workers.storage.answers import answered
from workers.storage.store import StoreAway


class Server:
    """One that is dead: each look ends by an error, after as long as the client is patient."""

    def __init__(self, path: str) -> None:
        self.path, self.gives_up, self.is_well = path, threading.Event(), False

    def look(self) -> str:
        def work(_beat: Callable[[], None]) -> str:
            if not self.is_well:
                self.gives_up.wait()
                raise OSError("Input/output error")
            return "here"

        return answered(self.path, work)

    def end_looks(self) -> None:
        self.gives_up.set()
        for one in list(answers._hanging.values()):
            one.join()
        self.gives_up = threading.Event()


def test_a_store_that_was_silent_is_not_waited_for_as_long_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(str(tmp_path))
    monkeypatch.setattr(answers, "CHECK_S", 0.1)
    with pytest.raises(StoreAway, match="does not answer"):
        server.look()
    server.end_looks()
    monkeypatch.setattr(answers, "CHECK_S", 60.0)
    monkeypatch.setattr(answers, "SILENT_S", 0.1)

    started = time.monotonic()
    with pytest.raises(StoreAway, match="does not answer"):
        server.look()
    assert time.monotonic() - started < 30

    server.is_well = True
    server.end_looks()
    assert server.look() == "here"
    monkeypatch.setattr(answers, "SILENT_S", 0.0)
    assert server.look() == "here", "one that answered again has as much time as any"
