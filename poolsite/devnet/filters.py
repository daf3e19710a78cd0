"""What callers left to be collected for them: heads, pending messages, logs; and what is sent on at once.

A filter collects until it is asked; one that nobody asks for is forgotten after a day.  There are no
contracts, so a filter of logs never finds any.  Source: lotus chain/events/filter/{store,tipset,mempool}.go.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from poolsite.devnet.mempool import ADDED

if TYPE_CHECKING:
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
    polled_at: float
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
        """Subscribe to heads and pending messages."""
        mempool.watchers.add(self._message_added)
        heads.add(self._heads_changed)

    def install(self, kind: str) -> bytes:
        """Begin to collect; gives the filter's name.  Raises TooManyFilters."""
        now = self.clock.now()
        with self._lock:
            for name in [name for name, one in self._filters.items() if one.polled_at < now - LIFE_S]:
                del self._filters[name]
            if len(self._filters) >= MAX_FILTERS:
                raise TooManyFilters("maximum number of filters registered")
            name = _name_generate()
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

    def poll(self, name: bytes) -> list[Tipset | SignedMessage]:
        """Return what a filter collected since it was last asked."""
        with self._lock:
            one = self._filters.get(name)
            if one is None:
                return []
            one.polled_at = self.clock.now()
            found = list(one.found)
            one.found.clear()
        return found

    def subscribe(self, kind: str, listener: Callable[[Tipset | SignedMessage], None]) -> bytes:
        """Pass on what comes until `unsubscribe`; gives the subscription's name."""
        name = _name_generate()
        with self._lock:
            self._listeners[name] = (kind, listener)
        return name

    def unsubscribe(self, name: bytes) -> bool:
        """End a subscription; False if there is none."""
        with self._lock:
            return self._listeners.pop(name, None) is not None

    def _heads_changed(self, _reverted: list[Tipset], applied: list[Tipset]) -> None:
        for tipset in applied:
            self._deliver(HEADS, tipset)

    def _message_added(self, kind: int, signed: SignedMessage) -> None:
        if kind == ADDED:
            self._deliver(MESSAGES, signed)

    def _deliver(self, kind: str, item: Tipset | SignedMessage) -> None:
        with self._lock:
            for one in self._filters.values():
                if one.kind == kind:
                    one.found.append(item)
            listeners = [listener for subscribed, listener in self._listeners.values() if subscribed == kind]
        for listener in listeners:
            listener(item)


def _name_generate() -> bytes:
    """16 random bytes and as many zeros, as lotus names them."""
    return uuid.uuid4().bytes + bytes(16)
