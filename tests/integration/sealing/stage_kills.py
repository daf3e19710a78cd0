"""Kills of the console around each step of the tables, and after each other commit of its tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import pytest
from django.db import connection, transaction

from apps.core import transitions
from poolsite.wire.pipeline import PIPELINES, UNSEAL_NEXT, SectorKind
from tests.integration.sealing.kills import Killed
from tests.integration.sealing.world import World

Step = tuple[str, str, str]
"""Model, and from where to where."""
MODELS: Final = {
    "Sealing": "Sector",
    "Unsealing": "Job",
    "Terminating": "SectorChange",
    "Extending": "SectorChange",
    "Snap-up": "PipelineRun",
    "Rebuild": "PipelineRun",
}
MOVED: Final = {
    ("StoreMove", *step)
    for step in (
        ("QUEUED", "COPYING"),
        ("COPYING", "COPIED"),
        ("COPIED", "CLEARING"),
        ("CLEARING", "MOVED"),
    )
}
WATCHED: Final = ("/apps/sectors/", "/apps/messages/", "/apps/pieces/")
"""Whose commits are met by a kill."""


def steps_of(name: str) -> set[Step]:
    """Every step of a table that a sector goes along if nothing fails."""
    table = [spec for spec in PIPELINES[name] if spec.next and SectorKind.CC in spec.kinds]
    if name == "Unsealing":  # its job has no state of its own: the stage says how far it is
        return {("Job", str(spec.stage), str(UNSEAL_NEXT[spec.next].stage)) for spec in table}
    return {(MODELS[name], str(spec.state), str(spec.next)) for spec in table}


def step_of(row: Any, values: dict[str, Any]) -> Step | None:
    """The step that a write takes."""
    model = str(row._meta.object_name)
    if model == "Job":
        is_step = row.kind == "unseal" and values.get("stage", row.stage) != row.stage
        return (model, str(row.stage), str(values["stage"])) if is_step else None
    if model not in (*MODELS.values(), "StoreMove") or values.get("state", row.state) == row.state:
        return None
    return model, str(row.state), str(values["state"])


class StageKills:
    """Kill the console before each step's first write, after its first commit, and after other commits."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.met: dict[Step, int] = {}
        """2: the kill before and the kill after."""
        self.commits: set[str] = set()
        """Places whose commit was followed by a kill."""
        self.is_on = False
        self._moved: list[Step] = []
        self._base = len(connection.savepoint_ids)
        self._is_asked = False
        self._write, self._leave = transitions.update_returning, transaction.Atomic.__exit__
        monkeypatch.setattr(transitions, "update_returning", self._written)
        kills = self

        def leave(atomic: Any, kind: Any, error: Any, trace: Any) -> None:
            kills._leave(atomic, kind, error, trace)
            kills._left(is_kept=kind is None)

        monkeypatch.setattr(transaction.Atomic, "__exit__", leave)
        transport: Any = world.console._client._transport
        self._request = transport.handle_request
        monkeypatch.setattr(transport, "handle_request", self._requested)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Kill within this block."""
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False

    def _requested(self, request: Any) -> Any:
        """Answer a host, which finds nobody where the console dies."""
        self._is_asked = True
        try:
            return self._request(request)
        except Killed:
            raise httpx.ReadError("the console died") from None
        finally:
            self._is_asked = False

    def _written(self, row: Any, here: Any, /, **values: Any) -> bool:
        step = step_of(row, values)
        if step is None or not self.is_on or self.met.get(step) == 2:
            return self._write(row, here, **values)
        if step not in self.met:
            self.met[step] = 1
            raise Killed
        is_written = self._write(row, here, **values)
        if is_written:
            self._moved.append(step)
            self._left(is_kept=True)
        return is_written

    def _left(self, *, is_kept: bool) -> None:
        """Kill if something was committed just now."""
        if len(connection.savepoint_ids) > self._base:
            return
        moved, self._moved = self._moved, []
        if not is_kept or not self.is_on:
            return
        if moved:
            self.met |= dict.fromkeys(moved, 2)
            raise Killed
        place = _place()
        if place and place not in self.commits and not self._is_asked:
            self.commits.add(place)
            raise Killed


def _place() -> str:
    """Who committed; empty for what is not watched."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        frame = frame.f_back
        if any(part in frame.f_code.co_filename for part in WATCHED):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return ""
