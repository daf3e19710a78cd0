"""What tests ask of a proof's attempts."""

from __future__ import annotations

from apps.proving.models import WindowPost
from apps.proving.states import AttemptKind
from apps.sectors.models import Job


def job_of(row: WindowPost, kind: str = AttemptKind.FIRST) -> Job | None:
    """Return the job of the open attempt of this kind."""
    attempt = row.attempt(kind)
    return None if attempt is None else attempt.work


def stall_of(row: WindowPost) -> str:
    """Return why the first attempt is no longer waited for alone, and who was asked."""
    attempt = row.attempt(AttemptKind.FIRST)
    return attempt.reason if attempt is not None and attempt.state == "STALLED" else ""


def attempts(row: WindowPost) -> list[tuple[str, str]]:
    """Return kind and state of every attempt, the oldest first."""
    return list(row.attempts.values_list("kind", "state"))
