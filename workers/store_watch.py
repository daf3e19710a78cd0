"""A worker's stores as it tells the console: each is looked at from a thread of its own, as it may hang."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace

from poolsite.wire.stores import READABLE, StoreCondition, shared_disk_space
from poolsite.wire.sums import stored_bytes
from workers.storage.store_condition import SectorCounts, attached_store, store_condition_read
from workers.storage.store_orders import StoreOrders

if TYPE_CHECKING:
    from poolsite.wire.stores import AttachedStore
    from workers.storage.attachment import Attachment
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

CHECK_S: Final = 5.0
"""Pause between two checks of a store."""
BUCKET_CHECK_S: Final = 30.0
"""The same of a bucket that was well: each check is several requests, which cost money."""
HANGS_S: Final = 20.0
"""A check that has not ended by then: the store does not answer."""
FIRST_S: Final = 2.0
"""Longest wait for the first checks, before a worker registers."""


class StoreWatch:
    """Inspects the stores of a worker."""

    def __init__(self, stores: Stores, *, sector_bytes: int) -> None:
        self.stores, self.sector_bytes = stores, sector_bytes
        self.on_change: Callable[[], None] = _nothing
        """Called when a store's condition has changed, or an order has ended."""
        self.orders = StoreOrders(stores, on_end=self._order_ended)
        """What the console orders for the stores."""
        self._counts = SectorCounts()
        self._checks: dict[str, _Check] = {}
        self._reported: dict[str, AttachedStore] = {}
        self._lock = threading.Lock()
        self._is_stopped = threading.Event()
        self._wanted = threading.Event()

    def start(self) -> None:
        """Inspect for the first time, and begin to do so again and again."""
        self.tick()
        threading.Thread(target=self._work, name="stores", daemon=True).start()
        end = time.monotonic() + FIRST_S
        while any(check.is_running for check in self._checks.values()) and time.monotonic() < end:
            time.sleep(0.01)

    def stop(self) -> None:
        """End the thread."""
        self._is_stopped.set()
        self.orders.stop()
        self._wanted.set()

    def _order_ended(self) -> None:
        self._wanted.set()
        self.on_change()

    def attached(self) -> tuple[AttachedStore, ...]:
        """Return all stores as they were found last; as away while nobody can read which they are."""
        with self._lock:
            known = dict(self._reported)
        try:
            rows = self.stores.attached()
        except OSError as error:
            reason = str(error)
            return tuple(replace(one, condition=StoreCondition.AWAY, reason=reason) for one in known.values())
        return tuple(
            known.get(one.path) or attached_store(one, StoreCondition.AWAY, "it has not been checked yet")
            for one in rows
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the stores that can be read."""
        return tuple(dict.fromkeys(one.name for one in self.attached() if one.condition in READABLE))

    @property
    def has_writable(self) -> bool:
        """Return whether a finished sector can be put somewhere."""
        return any(one.condition is StoreCondition.READY and one.can_store for one in self.attached())

    @property
    def has_readable(self) -> bool:
        """Return whether any store can be read."""
        return any(one.condition in READABLE for one in self.attached())

    def rooms(self) -> int:
        """Return for how many finished sectors the stores have room; what is full or away has none."""
        one_sector = stored_bytes(self.sector_bytes)
        disks: defaultdict[str, list[AttachedStore]] = defaultdict(list)
        for one in self.attached():
            if one.condition is StoreCondition.READY and one.can_store:
                disks[one.disk or one.path].append(one)
        together = (shared_disk_space(beside)[0] // one_sector for beside in disks.values())
        alone = (sum(one.free_bytes // one_sector for one in beside) for beside in disks.values())
        return sum(map(min, together, alone))

    def promised(self) -> Counter[str]:
        """Return what sectors on their way into the stores were promised, by disk, as it was found last."""
        found: Counter[str] = Counter()
        for one in self.attached():
            if one.disk:  # not a bucket, and not a store that is away
                found[one.disk] += one.reserved_bytes
        return found

    def _work(self) -> None:
        while not self._is_stopped.is_set():
            is_ordered = self._wanted.wait(CHECK_S)
            self._wanted.clear()
            try:
                self.tick(is_ordered=is_ordered)
            except OSError as error:  # the worker's own folder: leases tell of it
                log.warning("stores_not_looked_at", reason=str(error)[:200])

    def tick(self, *, is_ordered: bool = True) -> None:
        """Begin a check of each store; one that has not answered for long is away.

        A bucket that was well is checked again after BUCKET_CHECK_S, or after an order.
        """
        attached = self.stores.attached()
        with self._lock:
            for removed in self._reported.keys() - {one.path for one in attached}:
                del self._reported[removed]
        for one in attached:
            check = self._checks.setdefault(one.path, _Check())
            if not check.is_running:
                if one.is_bucket and self._is_well(one) and not is_ordered and check.lasts_s < BUCKET_CHECK_S:
                    continue
                check.begin(lambda one=one: self._store_check(one, attached))  # type: ignore[misc]  # bound now
            elif check.lasts_s > HANGS_S:
                say = f"{one.path} does not answer: check its disk or its server"
                self._note(attached_store(one, StoreCondition.AWAY, say))

    def _is_well(self, one: Attachment) -> bool:
        with self._lock:
            found = self._reported.get(one.path)
        return found is not None and found.condition in READABLE

    def _store_check(self, one: Attachment, others: list[Attachment]) -> None:
        self._note(
            store_condition_read(
                one, self.stores, sector_bytes=self.sector_bytes, others=others, count=self._counts.count
            )
        )

    def _note(self, found: AttachedStore) -> None:
        with self._lock:
            before, self._reported[found.path] = self._reported.get(found.path), found
        if before is None or before.condition is not found.condition:
            log.info("store_condition", store=found.name, condition=found.condition, reason=found.reason)
            self.on_change()


def disk_folders(stores: Stores) -> tuple[Path, ...]:
    """Return the folders of the stores that can be read, whose disks are reported."""
    return tuple(one.store.root for one in stores.attached() if not one.is_bucket and one.is_here)


class _Check:
    """A check of one store, which may never end."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.started = 0.0

    @property
    def is_running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    @property
    def lasts_s(self) -> float:
        """Return the seconds since it began."""
        return time.monotonic() - self.started

    def begin(self, work: Callable[[], None]) -> None:
        self.started = time.monotonic()
        self.thread = threading.Thread(target=work, name="store", daemon=True)
        self.thread.start()


def _nothing() -> None:
    """Ignore a change."""
