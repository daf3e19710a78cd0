"""Reading the network's rules and the list of nodes once for a whole piece of work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

T = TypeVar("T")

READ: Final[ContextVar[dict[str, Any] | None]] = ContextVar("chain_read", default=None)


@contextmanager
def chain_read_once() -> Iterator[None]:
    """Read the network's rules and the list of nodes once for all that is done in here, not for each."""
    token = READ.set({})
    try:
        yield
    finally:
        READ.reset(token)


def read_once(name: str, read: Callable[[], T]) -> T:
    """Return what was read under a name within `chain_read_once`; outside of it read it."""
    known = READ.get()
    if known is None:
        return read()
    if name not in known:
        known[name] = read()
    found: T = known[name]
    return found


def read_again() -> None:
    """Forget what was read within `chain_read_once`, since it was written meanwhile."""
    known = READ.get()
    if known is not None:
        known.clear()
