"""What `make up` prints: a terminal that is closed, or held up by Ctrl-S, neither ends the pool nor stops it.

The supervisor has one thread: while a write waited for a reader, nothing that died would be started again.
"""

from __future__ import annotations

import select
import sys
from collections import deque
from typing import Final

LINES_KEPT: Final = 200
"""Newest lines that wait for a terminal that is held up."""


class Terminal:
    """Standard output, written to only while it takes something."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)

    def report(self, sentence: str) -> None:
        """Print a line for the person at the terminal, as soon as it takes one."""
        self.lines.append(sentence)
        self.flush()

    def flush(self) -> None:
        """Print what waits; where the terminal was closed, nobody reads it."""
        try:
            while self.lines and select.select([], [sys.stdout], [], 0)[1]:
                sys.stdout.write(f"{self.lines.popleft()}\n")
                sys.stdout.flush()
        except OSError:
            self.lines.clear()
