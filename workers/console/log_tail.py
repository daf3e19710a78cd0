"""The newest lines of a host's log, for the console's page of the host."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from poolsite.wire.hosts import LOG_LINE_MAX, LOG_LINES_MAX
from workers.logs import RECENT_LINES

CHILD_LINES: Final = 30
"""Of the log of each child, behind those of the program itself."""
CHILD_BYTES: Final = 8 << 10


def log_tail(folder: Path) -> tuple[str, ...]:
    """Return the newest lines of this program's log, and of its children's in `folder`."""
    children: list[str] = []
    for path in sorted(folder.glob("*.log")):
        children += [f"{path.stem}: {line}" for line in file_tail(path)]
    own = list(RECENT_LINES)
    lines_sent = own[-max(LOG_LINES_MAX - len(children), 0) :] + children[-LOG_LINES_MAX:]
    return tuple(line_clean(line) for line in lines_sent[-LOG_LINES_MAX:])


def file_tail(path: Path) -> list[str]:
    """Return the last lines of a file; none of one that cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - CHILD_BYTES, 0))
            lines = file.read(CHILD_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines[size > CHILD_BYTES :] if line.strip()][-CHILD_LINES:]


def line_clean(line: str) -> str:
    """Return a line as a page shows it and a database stores it."""
    return "".join(sign if sign.isprintable() else " " for sign in line)[:LOG_LINE_MAX]
