"""The console's own processes: what the supervisor started and when each was last heard of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from redis.exceptions import RedisError

from apps.core.life import life_signs
from apps.dashboard import numbers
from apps.dashboard.words import Word

if TYPE_CHECKING:
    from datetime import datetime

    from apps.core.life import Sign


@dataclass(frozen=True, slots=True)
class ProcessLine:
    """One process."""

    name: str
    tone: str
    word: str
    icon: str
    pid: str
    seen: str
    restarts: str
    last_exit: str


def supervised() -> dict[str, dict[str, Any]]:
    """What the supervisor last wrote, by process; empty where there is none, as in production."""
    try:
        written = json.loads((settings.VAR / "processes.json").read_text())
    except (OSError, ValueError):
        return {}
    return {row["name"]: row for row in written["processes"] if not row["once"]}


def process_lines(*, now: datetime) -> list[ProcessLine]:
    """Every process that was started or heard of, those that need a look first."""
    rows = supervised()
    signs: dict[str, Sign] = {}
    try:
        signs = life_signs()
    except (RedisError, OSError):
        signs = {}
    lines = [process_line(name, rows.get(name), signs.get(name), now=now) for name in {**rows, **signs}]
    return sorted(lines, key=lambda line: (line.tone == "ok", line.name))


def process_line(name: str, row: dict[str, Any] | None, sign: Sign | None, *, now: datetime) -> ProcessLine:
    """Lay out one process; one without signs of life (a database) is what the supervisor says."""
    is_fresh = sign is not None and sign.is_fresh(now)
    is_up = row["up"] if row is not None else is_fresh
    word = Word("ok", "running") if is_up and (sign is None or is_fresh) else Word("warn", "silent")
    if not is_up:
        word = Word("bad", "down")
    exit_code = row["last_exit"] if row is not None else None
    return ProcessLine(
        name=name,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        pid=str((row and row["pid"]) or (sign.pid if sign is not None else numbers.NOTHING)),
        seen=str(numbers.moment(sign.seen_at)) if sign is not None else numbers.NOTHING,
        restarts=str(row["restarts"]) if row is not None else numbers.NOTHING,
        last_exit=exit_words(exit_code),
    )


def exit_words(code: int | None) -> str:
    """How it last ended: `killed by 9`, `code 1`."""
    if code is None:
        return numbers.NOTHING
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
