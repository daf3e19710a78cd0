"""What a host's programs log: one event a line on standard error, as JSON or, by LOG_FORMAT=text, as text."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections import deque
from contextlib import suppress
from typing import Final, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

NOISY: Final = ("websockets", "uvicorn", "httpx", "httpcore")
"""Libraries whose ordinary lines say nothing about our work."""
LINE_MAX: Final = 1_000
RECENT_LINES: Final[deque[str]] = deque(maxlen=100)
"""The newest lines of this process, for the console's page of the host."""


class StandardError(io.TextIOBase):
    """Standard error, but a line that cannot be written (a full disk, a closed pipe) stops no work."""

    def write(self, text: str, /) -> int:
        if text.strip():
            RECENT_LINES.append(text.rstrip()[:LINE_MAX])
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def logs_set_up(program: str) -> None:
    """Write structured lines that name the program; LOG_LEVEL leaves out what matters less."""
    level = logging.getLevelNamesMapping().get(os.environ.get("LOG_LEVEL", "").upper(), logging.INFO)
    as_text = os.environ.get("LOG_FORMAT") == "text"
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=False) if as_text else structlog.processors.JSONRenderer()
    )

    def program_name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("process", program)
        return event

    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            program_name,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", StandardError())),
        cache_logger_on_first_use=False,
    )
