"""The console's own processes: what the supervisor started and when each was last heard of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apps.dashboard import numbers
from apps.dashboard.words import Word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.core.processes import Process


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


WORDS: Final = {
    "running": Word("ok", "running"),
    "silent": Word("warn", "silent"),
    "down": Word("bad", "down"),
}


def process_lines(processes: Iterable[Process]) -> list[ProcessLine]:
    """Lay out processes, those that need a look first."""
    lines = [process_line(process) for process in processes]
    return sorted(lines, key=lambda line: (line.tone == "ok", line.name))


def process_line(process: Process) -> ProcessLine:
    """Lay out one process."""
    word, beat = WORDS[process.state], process.beat
    return ProcessLine(
        name=process.name,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        pid=str(process.pid or numbers.NOTHING),
        seen=str(numbers.moment(beat.seen_at)) if beat is not None else numbers.NOTHING,
        restarts=numbers.whole(process.restarts),
        last_exit=exit_words(process.last_exit),
    )


def exit_words(code: int | None) -> str:
    """How it last ended: `killed by 9`, `code 1`."""
    if code is None:
        return numbers.NOTHING
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
