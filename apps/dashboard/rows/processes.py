"""The console's own processes: what the supervisor started and when each was last heard of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apps.core import formatting
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.core.processes import Process


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process."""

    name: str
    tone: str
    word: str
    icon: str
    pid: str
    seen: str
    restarts: str
    last_exit: str


WORDS: Final = {
    "running": StateLabel("ok", "running"),
    "silent": StateLabel("warn", "silent"),
    "down": StateLabel("bad", "down"),
}


def process_rows(processes: Iterable[Process]) -> list[ProcessRow]:
    """Lay out processes, those that need a look first."""
    rows = [process_row(process) for process in processes]
    return sorted(rows, key=lambda row: (row.tone == "ok", row.name))


def process_row(process: Process) -> ProcessRow:
    """Lay out one process."""
    word, beat = WORDS[process.state], process.beat
    return ProcessRow(
        name=process.name,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        pid=str(process.pid or formatting.NOTHING),
        seen=str(time_html(beat.seen_at)) if beat is not None else formatting.NOTHING,
        restarts=formatting.whole(process.restarts),
        last_exit=exit_text(process.last_exit),
    )


def exit_text(code: int | None) -> str:
    """How it last ended: `killed by 9`, `code 1`."""
    if code is None:
        return formatting.NOTHING
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
