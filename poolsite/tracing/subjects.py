"""Messages and jobs have a trace each; its ids are derived from the row's id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Subject(NamedTuple):
    """A message or job that is traced."""

    kind: str
    key: str

    @property
    def trace_id(self) -> int:
        """Return the id of its trace."""
        return int.from_bytes(self._digest[:16])

    @property
    def span_id(self) -> int:
        """Return the id of its first span, the root of its trace."""
        return int.from_bytes(self._digest[16:24])

    @property
    def _digest(self) -> bytes:
        return hashlib.sha256(f"poolsite {self.kind} {self.key}".encode()).digest()


def of_messages(ids: Iterable[str]) -> Iterator[Subject]:
    """Return messages to trace, by their ids; lazily, as nobody reads them while traces are off."""
    return (Subject("message", key) for key in ids)


def of_jobs(uuids: Iterable[object]) -> Iterator[Subject]:
    """Return jobs to trace, by their UUIDs; a sector is traced as the job that seals it."""
    return (Subject("job", str(key)) for key in uuids)
