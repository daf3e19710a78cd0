"""The console's processes as the supervisor and their heartbeats show them, and what changed since."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from redis.exceptions import RedisError

from apps.core.clock import now
from apps.core.disk import SAMPLE_EVERY_S, disk_sample
from apps.core.live import OPERATOR, Change, change_send
from apps.core.liveness import HEARTBEAT_EVERY_S, Heartbeat, heartbeats

LATELY_S: Final = 3600
PROCESS_STATES: Final = ("running", "silent", "down")
"""The second is alive without heartbeats."""


def supervised() -> dict[str, dict[str, Any]]:
    """Return what the supervisor last wrote, by name; nothing where there is none, as in production."""
    try:
        written = json.loads((settings.VAR / "processes.json").read_text())
    except (OSError, ValueError):
        return {}
    return {row["name"]: row for row in written["processes"]}


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the console as the supervisor and its heartbeats show it."""

    name: str
    state: str
    """One of `PROCESS_STATES`."""
    pid: int | None
    beat: Heartbeat | None
    """Its last heartbeat; a database sends none."""
    restarts: int | None
    last_exit: int | None
    exits_lately: int = 0
    """How often it ended unasked within `LATELY_S`."""


def processes_all(*, at: datetime) -> list[Process]:
    """Return the processes that have to run: the supervisor's, and whoever else sent heartbeats.

    Those of another console machine are `name@machine`; without a supervisor all are known by heartbeats.
    """
    rows = {name: row for name, row in supervised().items() if not row["once"]}
    beats: dict[str, Heartbeat] = {}
    try:
        beats = heartbeats()
    except (RedisError, OSError):
        beats = {}
    others = [name for name in beats if "@" in name or not rows]
    return [_process(name, rows.get(name), beats.get(name), at=at) for name in (*rows, *others)]


def _process(name: str, row: dict[str, Any] | None, beat: Heartbeat | None, *, at: datetime) -> Process:
    is_fresh = beat is not None and beat.is_fresh(at)
    is_up = row["up"] if row is not None else is_fresh
    state = "running" if beat is None or is_fresh else "silent"
    return Process(
        name=name,
        state=state if is_up else "down",
        pid=(row["pid"] if row is not None else None) or (beat.pid if beat is not None else None),
        beat=beat,
        restarts=row["restarts"] if row is not None else None,
        last_exit=row["last_exit"] if row is not None else None,
        exits_lately=sum(at.timestamp() - one < LATELY_S for one in (row or {}).get("exits", ())),
    )


class ProcessWatch:
    """Remembers how the processes were, so that pages are told once of each change."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[object, ...]] = {}
        self.fresh: dict[str, bool] = {}
        self.heard_at = -HEARTBEAT_EVERY_S
        self.sampled_at = -SAMPLE_EVERY_S

    def changes_publish(self) -> list[str]:
        """Publish to the operator's pages each process that changed since the last look; all at first."""
        self.sample()
        states = self.states()
        changed = [name for name in {**self.known, **states} if self.known.get(name) != states.get(name)]
        self.known = states
        for name in changed:
            change_send(Change("process", name, OPERATOR))
        return changed

    def sample(self) -> None:
        """Note the free room of the disk once a minute."""
        if time.monotonic() - self.sampled_at >= SAMPLE_EVERY_S:
            self.sampled_at = time.monotonic()
            disk_sample()

    def states(self) -> dict[str, tuple[object, ...]]:
        """Return what a page shows of each process: alive, started again, heard of."""
        rows = {name: (row["pid"], row["up"], row["restarts"]) for name, row in supervised().items()}
        if time.monotonic() - self.heard_at >= HEARTBEAT_EVERY_S:
            self.heard_at, at = time.monotonic(), now()
            try:
                self.fresh = {name: beat.is_fresh(at) for name, beat in heartbeats().items()}
            except (RedisError, OSError):
                self.fresh = {}
        return {name: (rows.get(name), self.fresh.get(name)) for name in {**rows, **self.fresh}}
