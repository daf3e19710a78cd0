"""Refusals of the domain: raised in services, turned into HTTP and JSON-RPC by `apps/api/errors.py`."""

from __future__ import annotations

from typing import Any, ClassVar

from apps.core.marked_texts import gettext


class DomainError(Exception):
    """A request that the rules refuse.  Subclasses are named after the fact."""

    code: ClassVar[str] = "refused"
    """Word for machines; stable."""

    def __init__(self, reason: str = "", *, field: str = "", wire: str = "") -> None:
        self.reason = reason or self.code
        """One sentence for people, without secrets."""
        self.wire_reason = wire or self.reason
        """The text for JSON-RPC: the Go program's own, where its clients compare it."""
        self.field = field
        """Which input is to blame; empty if none is."""
        super().__init__(f"{field}: {self.reason}" if field else self.reason)


class BadValue(DomainError):
    """An input that cannot be read or is out of range."""

    code = "bad_value"


class NotFound(DomainError):
    """A thing that does not exist, or not for this caller: both look the same from outside."""

    code = "not_found"


class NotAllowed(DomainError):
    """A caller who is known but lacks the permission."""

    code = "not_allowed"


class NotReachable(DomainError):
    """A node, signer or host that the request needs does not answer now; asking again may help."""

    code = "not_reachable"


class Conflict(DomainError):
    """A request that does not fit what is there."""

    code = "conflict"


class WrongState(Conflict):
    """The row's state table has no such step."""

    code = "wrong_state"

    def __init__(self, row: Any, event: str) -> None:
        self.event = event
        super().__init__(
            gettext("{kind} {number} is {state}: {event} is not possible").format(
                kind=type(row).__name__.lower(), number=row.pk, state=row.state, event=event
            )
        )


class LostRace(Conflict):
    """Another process moved the row between our reading and our writing."""

    code = "lost_race"

    def __init__(self, row: Any, event: str) -> None:
        self.event = event
        super().__init__(
            gettext("{kind} {number} was changed by another process during {event}").format(
                kind=type(row).__name__.lower(), number=row.pk, event=event
            )
        )
