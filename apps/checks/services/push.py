"""Sending by apprise: a process for each text, which gets the URL on its standard input."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from threading import BoundedSemaphore
from typing import Any, Final

from django.conf import settings

from apps.checks.models import Notification
from apps.checks.reasons import (
    NO_RESPONSE,
    NOT_PUBLIC,
    PUSH_ENDED,
    PUSH_REFUSED,
    REFUSED,
    STATUS,
    STATUS_SAID,
)
from apps.checks.services.chat import chat_reason_read, text_fit
from apps.checks.services.notification_texts import details_write, end_write, subject_write
from apps.checks.services.push_services import PushTarget, push_url_find
from apps.core.connection_faults import fault_reason
from apps.core.reasons import quoted

CHILD: Final = (sys.executable, "-m", "apps.checks.services.push_child")
LIMIT_S: Final = 15.0
BESIDE_MAX: Final = 4
"""Processes at once: each takes 40 MiB."""
WORD_MIN: Final = 6
"""Letters of a word that is left out of a reason if a part of the URL has it."""

_slots: Final = BoundedSemaphore(BESIDE_MAX)


def push_send(row: Notification, *, url: str) -> str:
    """Send a notification; return why its service did not take it, without a part of the URL.

    Empty: it was taken.
    """
    target = push_url_find(url)
    if target is None:
        return PUSH_REFUSED(what="its URL")
    service = target.service
    subject = subject_write(row, most=service.title_max)
    title, text = (
        text_fit(part, end=end, most=service.text_max, calls_nobody=service.pings)
        for part, end in ((subject, ""), (details_write(row, subject=subject), end_write(row)))
    )
    request = {"url": url, "title": title, "text": text}
    try:
        outcome = _child_run(request)
    except (TimeoutError, subprocess.TimeoutExpired):
        return NO_RESPONSE(error=fault_reason(TimeoutError()))
    return _fault(outcome, target=target)


def _child_run(request: dict[str, str]) -> dict[str, Any]:
    """Return what the process wrote.  Raises TimeoutError, subprocess.TimeoutExpired."""
    if not _slots.acquire(timeout=LIMIT_S):
        raise TimeoutError
    try:
        done = subprocess.run(  # noqa: S603  # our own program
            CHILD,
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback has the URL
            cwd=settings.BASE_DIR,
            env={"LANG": "C.UTF-8"},
            timeout=LIMIT_S,
            check=False,
        )
    finally:
        _slots.release()
    try:
        outcome = json.loads(done.stdout)
    except ValueError:
        outcome = None
    return outcome if isinstance(outcome, dict) else {"ended": done.returncode}


def _fault(outcome: dict[str, Any], *, target: PushTarget) -> str:
    """Return why a text was not taken; empty if it was."""
    if outcome.get("delivered"):
        return ""
    if "ended" in outcome:
        return PUSH_ENDED(status=outcome["ended"])
    if outcome["refused"]:
        return PUSH_REFUSED(
            what=quoted(parts_strip(" ".join(outcome["refused"][0]), target=target), by="system")
        )
    if outcome["is_private"]:
        return NOT_PUBLIC()
    if outcome["is_unresolved"]:
        return NO_RESPONSE(error=fault_reason(socket.gaierror()))
    status = outcome["status"]
    if status is None:
        return NO_RESPONSE(error=fault_reason(ConnectionError()))
    words = parts_strip(chat_reason_read(outcome["answer"].encode(), also=("error", "errors")), target=target)
    if 200 <= status < 300:
        return REFUSED(reason=quoted(words, by="channel"))
    return STATUS_SAID(status=status, error=quoted(words, by="channel")) if words else STATUS(status=status)


def parts_strip(text: str, *, target: PushTarget) -> str:
    """Return a text without the parts of a URL, nor words of them."""
    for part in sorted(target.parts.values(), key=len, reverse=True):
        text = text.replace(part, "…")
    held = " ".join(target.parts.values()).casefold()

    def hide(word: re.Match[str]) -> str:
        return "…" if word[0].casefold() in held else word[0]

    return re.sub(rf"[\w-]{{{WORD_MIN},}}", hide, text)
