"""What the console answers instead of what was asked: it is away, or it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from poolsite.wire.codec import UNKNOWN_FIELD
from poolsite.wire.hosts import VERSION

if TYPE_CHECKING:
    import httpx

log = structlog.get_logger(__name__)


class ConsoleAway(Exception):
    """Nobody answers, or only with an inner error: the same request later is right."""


class VersionsDiffer(ConsoleAway):
    """The console does not know a field: the same request is right once one of both sides is upgraded."""


class ConsoleNewer(VersionsDiffer):
    """The console's answer has a field that this worker does not know."""


class TokenNotAccepted(ConsoleAway):
    """The console does not take the token: the same request is right once its file has another."""

    def __init__(self, console: str, reason: str) -> None:
        super().__init__(f"the console {console} does not accept this token: {reason}")
        self.reason = reason


class ConsoleRefused(Exception):
    """The console understood and said no: repeating the request does not help."""

    def __init__(self, *, status: int, code: str, reason: str, field: str) -> None:
        super().__init__(f"{status} {code}: {reason}" + (f" ({field})" if field else ""))
        self.status, self.code, self.reason, self.field = status, code, reason, field


class Fenced(ConsoleRefused):
    """The lease is over: somebody else may hold the job."""


class Replaced(ConsoleRefused):
    """The console knows another start of this worker, or none: register again."""


def refusal_of(status: int, data: dict[str, Any]) -> ConsoleAway | ConsoleRefused:
    """Return what an answer of this status means."""
    code, reason, field = (str(data.get(name, "")) for name in ("code", "message", "field"))
    if status == 400 and reason.startswith(UNKNOWN_FIELD):
        if reason == UNKNOWN_FIELD:  # of a console that does not say more yet
            reason = f"{reason}: this host is newer ({VERSION}) than the console: upgrade the console first"
        return VersionsDiffer(f"{reason} ({field})")
    kinds: dict[str, type[ConsoleRefused]] = {
        "fenced": Fenced,
        "job_unknown": Fenced,
        "worker_replaced": Replaced,
        "worker_unknown": Replaced,
    }
    return kinds.get(code, ConsoleRefused)(status=status, code=code, reason=reason, field=field)


def request_waits(event: str, error: Exception) -> None:
    """Log why a request waits; that the console is away was logged by the request, once."""
    if not isinstance(error, ConsoleAway):
        log.warning(event, reason=str(error))


def reason_of(answer: httpx.Response) -> str:
    """Return the console's own words of why it does not do something; empty if there are none."""
    try:
        return str(answer.json()["message"])
    except (ValueError, LookupError, TypeError):
        return ""
