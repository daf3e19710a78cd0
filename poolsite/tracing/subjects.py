"""What has a trace of its own: messages and jobs, by their ids, from which the trace's ids follow."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Subject(NamedTuple):
    """A row that is followed through all processes."""

    kind: str
    key: str

    @property
    def trace_id(self) -> int:
        """Return its trace's id."""
        return int.from_bytes(self._digest[:16])

    @property
    def span_id(self) -> int:
        """Return the id of the span that it begins with; all others of its own are below that."""
        return int.from_bytes(self._digest[16:24])

    @property
    def _digest(self) -> bytes:
        return hashlib.sha256(f"poolsite {self.kind} {self.key}".encode()).digest()


def of_messages(ids: Iterable[str]) -> Iterator[Subject]:
    """Return messages by their ids; where traces are off, nothing is made of them."""
    return (Subject("message", key) for key in ids)


def of_jobs(uuids: Iterable[object]) -> Iterator[Subject]:
    """Return jobs by their UUIDs: a sector's is that of its sealing."""
    return (Subject("job", str(key)) for key in uuids)
