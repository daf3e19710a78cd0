"""The console's own processes, shown to the operator when one of them is not running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apps.core import formatting
from apps.dashboard.fragments import FragmentContext, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.core.processes import Process
    from apps.dashboard.page_data import PageData


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


def processes_context(data: PageData) -> dict[str, Any]:
    """The console's processes, for the operator; hidden while all of them run."""
    if not data.viewer.is_operator:
        return {"processes": None}
    rows = process_rows(data.processes)
    working = sum(row.tone == "ok" for row in rows)
    if working == len(rows):
        return {"processes": []}
    return {"processes": rows, "process_say": f"{working} of {len(rows)} running"}


def processes_fragment(context: FragmentContext) -> Iterable[str]:
    if context.viewer.is_operator:
        yield fragment("dashboard/_processes.html", **processes_context(context.data))
