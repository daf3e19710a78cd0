"""Structured logs: every line is one event with keys, as JSON or, on a terminal, as text."""

from __future__ import annotations

import os
import re
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

SECRET_WORDS = ("password", "secret", "token", "private", "authorization", "cookie")
"""A key whose name holds one of these never reaches a log."""

FRAME_LOGGERS = ("uvicorn.error", "websockets")
"""At DEBUG they write the headers and frames of web sockets, tokens and cookies among them, as plain text."""

SOCKET_QUERY = re.compile(r'("WebSocket [^?"]*)\?.*"')
"""The query in a line of uvicorn's about a web socket."""

HIDDEN = "(hidden)"

INNOCENT_KEYS = frozenset({"lease_token"})
"""Named like secrets, but plain counters."""


def secrets_hide(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of keys that are named like secrets."""
    for key in event:
        if key not in INNOCENT_KEYS and any(word in key.lower() for word in SECRET_WORDS):
            event[key] = HIDDEN
    return event


def addresses_shorten(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop queries, in which programs may send their token, and the secret of an invitation.

    uvicorn names a web socket by its whole address; Django names a request that failed by its path, and so,
    with its query, does the `request` of the line.
    """
    text = str(event.get("event", ""))
    if '"WebSocket ' in text:
        event["event"] = SOCKET_QUERY.sub(r'\1"', text)
    if hasattr(event.get("request"), "get_full_path"):
        match = event.pop("request").resolver_match
        secret = match.kwargs.get("token", "") if match else ""
        event["event"] = text.replace(secret, HIDDEN) if secret else text
    return event


def colours_drop(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop the second, coloured copy of a line that uvicorn adds."""
    event.pop("color_message", None)
    return event


def shared_processors(process: str) -> list[Processor]:
    """Return the steps that every line passes, ours and the libraries'."""

    def process_name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        process_name,
        colours_drop,
        secrets_hide,
        addresses_shorten,
    ]


def logging_for(*, level: str, process: str) -> dict[str, Any]:
    """Set structlog up and give the `logging` dictionary that renders both kinds of records alike."""
    shared = shared_processors(process)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    as_text = os.environ.get("LOG_FORMAT", "json") == "text"
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=False) if as_text else structlog.processors.JSONRenderer()
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "events": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    renderer,
                ],
            }
        },
        "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "events"}},
        "root": {"handlers": ["out"], "level": level},
        "loggers": {
            # While Redis is away this one prints a traceback a second and says nothing new.
            "channels_redis.pubsub": {"level": "CRITICAL"},
            # Two lines for each task of each epoch; a task that fails is an error all the same.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},
            # A traceback for a stranger's Host header; apps/core/health.py says it in a line.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "django.server": {"level": "WARNING"},
            "uvicorn.access": {"level": "WARNING"},
            **{name: {"level": "INFO" if level == "DEBUG" else level} for name in FRAME_LOGGERS},
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
        },
    }
