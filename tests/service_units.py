"""In how many units a service writes: a process that is killed between two leaves what the first wrote.

A unit is a transaction that the service opens, or a statement outside any.  A call whose caller holds a
transaction open is part of that one.  `service_units.txt` names the services with several units, each with
the reason why a kill between them does no harm.
"""

from __future__ import annotations

import functools
import re
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import pytest
from django.db import connections
from django.db.backends.utils import CursorWrapper
from django.db.transaction import Atomic

SITE: Final = Path(__file__).resolve().parents[1]
WATCHED: Final = "tests/unit/apps/"
"""Tests whose services are watched."""
LIST: Final = Path(__file__).with_suffix(".txt")
INNERMOST: Final = (f"{SITE}/apps/", f"{SITE}/tests/")
QUERYSET: Final = f"{SITE}/apps/core/reason_fields.py"
"""Writes for whoever calls it, as Django does."""
SERVICE: Final = re.compile(rf"{re.escape(str(SITE))}/(apps/\w+/services/[\w/]+\.py)")
WRITE: Final = re.compile(r"\s*(INSERT|UPDATE|DELETE|WITH\b.*\b(INSERT INTO|UPDATE|DELETE FROM))\b", re.S)
CALLERS: Final = "In its caller's transaction"
"""How the reason of a service begins that only tests call without a transaction."""


def reasons_read() -> dict[str, str]:
    """Return the reason of each service in the list, by `file:name`."""
    reasons: dict[str, str] = {}
    for section in LIST.read_text().strip().split("\n\n"):
        lines = section.splitlines()
        reason = " ".join(line[2:] for line in lines if line.startswith("# "))
        for name in (line for line in lines if not line.startswith("# ")):
            assert name not in reasons, f"{name} stands in the list twice"
            reasons[name] = reason
    return reasons


@functools.cache
def service_of(code: CodeType) -> str:
    """Return the public service that code is, as `file:name`; empty for other code."""
    found = SERVICE.fullmatch(code.co_filename)
    is_public = code.co_qualname == code.co_name and not code.co_name.startswith(("_", "<"))
    return f"{found[1]}:{code.co_name}" if found and is_public else ""


def service_outermost() -> FrameType | None:
    """Return the call of a service that no other service has called; None for what a test does amid one."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    outermost, innermost = None, ""
    while frame is not None:
        name = frame.f_code.co_filename
        if not innermost and name.startswith(INNERMOST) and name != QUERYSET:
            innermost = name
        if service_of(frame.f_code):
            outermost = frame
        frame = frame.f_back
    return None if innermost.startswith(INNERMOST[1]) else outermost


class _Thread(threading.local):
    """What one thread does."""

    began: tuple[int, FrameType | None] = (0, None)
    """Number of the transaction that is open, and the call in which it was opened."""
    service: FrameType | None = None
    """The call that wrote last; held, so that no later one has its place in memory."""
    units: dict[int, str]
    """Its units, each with its first statement."""


class ServiceUnits:
    """Watches the writes of all services, and finds those in several units that nobody gave a reason for."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}
        self.reasons = reasons_read()
        self._numbers = count(1)
        self._thread = _Thread()

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Watch Django's transactions and statements."""
        cursors: Any = CursorWrapper
        enter, execute, many = Atomic.__enter__, cursors._execute, cursors._executemany

        def entered(block: Atomic) -> None:
            enter(block)
            if block.using in {None, "default"} and _open_blocks() == [block]:
                self._thread.began = next(self._numbers), service_outermost()

        def watched(statement: Callable[..., Any]) -> Callable[..., Any]:
            def run(cursor: CursorWrapper, sql: Any, *rest: Any) -> Any:
                if cursor.db.alias == "default" and WRITE.match(text := str(sql)):
                    self._note(text)
                return statement(cursor, sql, *rest)

            return run

        patch.setattr(Atomic, "__enter__", entered)
        patch.setattr(cursors, "_execute", watched(execute))
        patch.setattr(cursors, "_executemany", watched(many))

    def _note(self, text: str) -> None:
        """Count a statement that writes."""
        thread, service = self._thread, service_outermost()
        if service is None:
            return
        number, owner = thread.began if _open_blocks() else (next(self._numbers), service)
        if owner is not service:
            return  # its caller opened the transaction
        if thread.service is not service:
            thread.service, thread.units = service, {}
        thread.units.setdefault(number, " ".join(text.split())[:80])
        if len(thread.units) > 1 and not self._is_accepted(service):
            self.found[service_of(service.f_code)] = list(thread.units.values())

    def _is_accepted(self, service: FrameType) -> bool:
        reason = self.reasons.get(service_of(service.f_code), "")
        caller = service.f_back
        is_by_test = caller is not None and caller.f_code.co_filename.startswith(INNERMOST[1])
        return bool(reason) and (is_by_test or not reason.startswith(CALLERS))

    def end(self) -> dict[str, list[str]]:
        """Return the services that were found since the last time, with the first statement of each unit."""
        self._thread.service, self._thread.began = None, (0, None)
        found, self.found = self.found, {}
        return found


def _open_blocks() -> list[Atomic]:
    """Return the product's open transactions, without the one in which pytest-django rolls a test back."""
    blocks = connections["default"].atomic_blocks
    return [block for block in blocks if not getattr(block, "_from_testcase", False)]
