"""What callers left to be collected for them: heads, pending messages, logs; and what is sent on at once.

A filter collects until it is asked; one that nobody asks for is forgotten after a day.  There are no
contracts, so a filter of logs never finds any.  Source: lotus chain/events/filter/{store,tipset,mempool}.go.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from poolsite.devnet.mempool import ADDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from poolsite.devnet.clock import Clock
    from poolsite.devnet.mempool import Mempool
    from poolsite.filecoin.message import SignedMessage
    from poolsite.filecoin.tipset import Tipset

HEADS: Final = "heads"
MESSAGES: Final = "messages"
LOGS: Final = "logs"
"""Kinds of filters."""
MAX_FILTERS: Final = 100
MAX_RESULTS: Final = 10_000
"""Results that one filter keeps; the oldest go."""
LIFE_S: Final = 24 * 3600
"""How long a filter lives that nobody asks."""


class TooManyFilters(Exception):
    """No more filters are taken; the text is lotus'."""


@dataclass(slots=True)
class Filter:
    """One filter: its kind and what it collected."""

    kind: str
    taken: float
    """When it was asked last."""
    found: deque[Tipset | SignedMessage] = field(default_factory=lambda: deque(maxlen=MAX_RESULTS))


class Filters:
    """The filters and subscriptions of one node; methods may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._filters: dict[bytes, Filter] = {}
        self._listeners: dict[bytes, tuple[str, Callable[[Tipset | SignedMessage], None]]] = {}

    def watch(self, mempool: Mempool, heads: set[Callable[[list[Tipset], list[Tipset]], None]]) -> None:
        """Hear of heads and pending messages from now on."""
        mempool.watchers.add(self._message_seen)
        heads.add(self._heads_moved)

    def install(self, kind: str) -> bytes:
        """Begin to collect; gives the filter's name.  Raises TooManyFilters."""
        now = self.clock.now()
        with self._lock:
            for name in [name for name, one in self._filters.items() if one.taken < now - LIFE_S]:
                del self._filters[name]
            if len(self._filters) >= MAX_FILTERS:
                raise TooManyFilters("maximum number of filters registered")
            name = _name_new()
            self._filters[name] = Filter(kind, now)
        return name

    def uninstall(self, name: bytes) -> bool:
        """Forget a filter; False if there is none."""
        with self._lock:
            return self._filters.pop(name, None) is not None

    def kind_of(self, name: bytes) -> str | None:
        """Return what a filter collects, None if there is none."""
        with self._lock:
            found = self._filters.get(name)
            return None if found is None else found.kind

    def take(self, name: bytes) -> list[Tipset | SignedMessage]:
        """Return what a filter collected since it was last asked."""
        with self._lock:
            one = self._filters.get(name)
            if one is None:
                return []
            one.taken = self.clock.now()
            found = list(one.found)
            one.found.clear()
        return found

    def subscribe(self, kind: str, hear: Callable[[Tipset | SignedMessage], None]) -> bytes:
        """Pass on what comes until `unsubscribe`; gives the subscription's name."""
        name = _name_new()
        with self._lock:
            self._listeners[name] = (kind, hear)
        return name

    def unsubscribe(self, name: bytes) -> bool:
        """End a subscription; False if there is none."""
        with self._lock:
            return self._listeners.pop(name, None) is not None

    def _heads_moved(self, _reverted: list[Tipset], applied: list[Tipset]) -> None:
        for tipset in applied:
            self._seen(HEADS, tipset)

    def _message_seen(self, kind: int, signed: SignedMessage) -> None:
        if kind == ADDED:
            self._seen(MESSAGES, signed)

    def _seen(self, kind: str, what: Tipset | SignedMessage) -> None:
        with self._lock:
            for one in self._filters.values():
                if one.kind == kind:
                    one.found.append(what)
            listeners = [hear for wanted, hear in self._listeners.values() if wanted == kind]
        for hear in listeners:
            hear(what)


def _name_new() -> bytes:
    """16 random bytes and as many zeros, as lotus names them."""
    return uuid.uuid4().bytes + bytes(16)
