"""A worker's stores as it tells the console: each is looked at from a thread of its own, as it may hang.

What the console orders for stores (attach, detach, change) is done in a thread as well: leases go on.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace

from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.wire.codec import document_encode
from poolsite.wire.hosts import Operation
from poolsite.wire.store_checks import CheckedSector, ScannedFile, ScannedSectors, ScannedStore
from poolsite.wire.stores import READABLE, StoreCondition, room_together
from workers.storage.attachment import NotAttached
from workers.storage.files import unfinished_sizes
from workers.storage.moves import copy_drop, moved_sector, sector_copy, sector_remove
from workers.storage.sector import sector_name
from workers.storage.sizes import stored_bytes
from workers.storage.store_check import (
    checked_one,
    leftover_remove,
    others_scan,
    sector_bytes,
    sector_check,
    sectors_scan,
    wanted_check,
)
from workers.storage.store_look import SectorCounts, store_look, told
from workers.storage.store_mark import BadMark

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from poolsite.wire.hosts import Command
    from poolsite.wire.stores import AttachedStore
    from workers.storage.attachment import Attachment
    from workers.storage.store import Store
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

LOOK_S: Final = 5.0
"""Pause between two looks at a store."""
BUCKET_LOOK_S: Final = 30.0
"""The same of a bucket that was well: each look is several requests, which cost money."""
HANGS_S: Final = 20.0
"""A look that has not ended by then: the store does not answer."""
FIRST_S: Final = 2.0
"""Longest wait for the first looks, before a worker registers."""
MOVES: Final = {
    Operation.COPY_SECTOR: sector_copy,
    Operation.REMOVE_COPY: sector_remove,
    Operation.DROP_COPY: copy_drop,
}
MOVES_NOW: Final = "a move is writing or removing the sector's files here"
NOT_ORDERED: Final = "the command was withdrawn"
FINISHED_MAX: Final = 100
"""Orders whose end is remembered, should the console ask again."""


class StoreWatch:
    """Inspects the stores of a worker."""

    def __init__(self, stores: Stores, *, sector_bytes: int) -> None:
        self.stores, self.sector_bytes = stores, sector_bytes
        self.on_change: Callable[[], None] = _nothing
        """Called when a store's condition has changed."""
        self._counts = SectorCounts()
        self._looks: dict[str, _Look] = {}
        self._told: dict[str, AttachedStore] = {}
        self._lock = threading.Lock()
        self._is_stopped = threading.Event()
        self._wanted = threading.Event()
        self._moving = threading.Lock()
        self._checking = threading.Lock()
        self._changing: tuple[str, str] | None = None
        """Store and sector whose files a move writes or removes."""
        self._reading: tuple[str, str] | None = None
        """Store and sector whose files a check reads."""
        self._is_disturbed = False
        """A move has changed what is read."""
        self._checked: dict[str, CheckedSector] = {}
        self._scanned: dict[str, ScannedStore] = {}
        """By command: what was found, until the console has it."""
        self._orders: dict[str, str | None] = {}
        """By command: None while it is carried out, then why it could not be; empty: it was."""
        self._withdrawn: set[str] = set()
        """Those of them that the console orders no more while they are carried out."""

    def start(self) -> None:
        """Inspect for the first time, and begin to do so again and again."""
        self.tick()
        threading.Thread(target=self._work, name="stores", daemon=True).start()
        end = time.monotonic() + FIRST_S
        while any(look.is_running for look in self._looks.values()) and time.monotonic() < end:
            time.sleep(0.01)

    def stop(self) -> None:
        """End the thread."""
        self._is_stopped.set()
        self._wanted.set()

    def attached(self) -> tuple[AttachedStore, ...]:
        """Return all stores as they were found last; as away while nobody can read which they are."""
        with self._lock:
            known = dict(self._told)
        try:
            rows = self.stores.attached()
        except OSError as error:
            reason = str(error)
            return tuple(replace(one, condition=StoreCondition.AWAY, reason=reason) for one in known.values())
        return tuple(
            known.get(one.path) or told(one, StoreCondition.AWAY, "it has not been checked yet")
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
        together = (room_together(beside)[0] // one_sector for beside in disks.values())
        alone = (sum(one.free_bytes // one_sector for one in beside) for beside in disks.values())
        return sum(map(min, together, alone))

    def order(self, command: Command) -> str | None:
        """Carry out what the console orders for a store; return None while it is not done, then the fault."""
        with self._lock:
            if command.id in self._orders:
                return self._orders[command.id]
            ended = [old for old, fault in self._orders.items() if fault is not None]
            for old in ended[:-FINISHED_MAX]:  # what is being carried out must not begin twice
                del self._orders[old]
            self._orders[command.id] = None
        threading.Thread(target=self._carry_out, args=(command,), name="order", daemon=True).start()
        return None

    def _carry_out(self, command: Command) -> None:
        try:
            self._act(command)
            fault = ""
        except (NotAttached, BadMark, OSError, ValueError, KeyError) as error:
            fault = str(error) or type(error).__name__
            log.warning("store_order_failed", op=command.op, args=command.args, reason=fault)
        with self._lock:
            self._orders[command.id] = fault.encode("utf-8", "backslashreplace").decode()
            self._withdrawn.discard(command.id)
        self._wanted.set()
        self.on_change()

    def _act(self, command: Command) -> None:
        args = command.args
        if command.op is Operation.ATTACH:
            self.stores.attach(args["path"], init="init" in args)
        elif command.op is Operation.DETACH:
            self.stores.detach(args["uid"])
        elif command.op is Operation.SET_STORE:
            self.stores.change(args["uid"], args)
        elif command.op is Operation.CHECK_SECTOR:
            self._check(command)
        elif command.op is Operation.SCAN_STORE:
            self._scan(command)
        elif command.op is Operation.REMOVE_LEFTOVER:
            name = sector_name(int(args["miner_id"]), int(args["number"]))
            with self._moving, self._changes(args["uid"], name):
                if not self._is_ordered(command.id):
                    raise OSError(NOT_ORDERED)
                others = [one for one in self.stores.attached() if one.uid != args["uid"]]
                leftover_remove(self._attached_store(args["uid"]), args, others)
        else:
            moved = moved_sector(args)
            uid = moved.from_uid if command.op is Operation.REMOVE_COPY else moved.to_uid
            with (
                self._moving,
                self._changes(uid, moved.name),
            ):  # one after the other: disks are read in one go
                MOVES[command.op](self.stores, moved)

    def _check(self, command: Command) -> None:
        """Read a sector's files; one sector after the other, beside moves of others.  Raises OSError."""
        one = checked_one(command.args)
        with self._checking, self._reads(one.uid, one.name):
            files = sector_check(self._attached_store(one.uid), one, is_wanted=self._goes_on)
            self._attached_store(one.uid)  # what is missing went with the disk
        self._keep(CheckedSector(command=command.id, files=tuple(files)))

    def _keep(self, found: CheckedSector | ScannedStore) -> None:
        """Remember what was found until the console has it; what cannot be sent is the order's fault.

        Raises UnicodeEncodeError: heartbeats with it would end all leases.
        """
        json.dumps(document_encode(found), ensure_ascii=False).encode()
        with self._lock:
            if isinstance(found, CheckedSector):
                self._checked[found.command] = found
            else:
                self._scanned[found.command] = found

    @contextmanager
    def _changes(self, uid: str, name: str) -> Iterator[None]:
        """Note that a sector's files in a store change: a check that reads them has to read again."""
        with self._lock:
            self._changing = (uid, name)
            self._is_disturbed |= self._reading == self._changing
        try:
            yield
        finally:
            with self._lock:
                self._changing = None

    @contextmanager
    def _reads(self, uid: str, name: str) -> Iterator[None]:
        """Note that a sector's files in a store are read.  Raises OSError if a move changed them."""
        with self._lock:
            self._reading = (uid, name)
            self._is_disturbed = self._reading == self._changing
        try:
            yield
        except InterruptedError:
            if not self._is_disturbed:
                raise
        finally:
            with self._lock:
                self._reading, is_disturbed = None, self._is_disturbed
        if is_disturbed:
            raise OSError(MOVES_NOW)

    def _scan(self, command: Command) -> None:
        uid = command.args["uid"]
        root = self._attached_store(uid).root
        is_wanted = partial(self._is_ordered, command.id)
        unfinished = unfinished_sizes(root)
        whole, half = sectors_scan(root, is_wanted=is_wanted, unfinished=unfinished)
        halves: dict[int, dict[int, int]] = {}
        for miner_id, numbers in half.items():
            for number in numbers:
                wanted_check(is_wanted)
                name = sector_name(miner_id, number)
                size = sector_bytes(root, name) + unfinished.get(name, 0)
                halves.setdefault(miner_id, {})[number] = size
        others = tuple(ScannedFile(name=name, size=size) for name, size in others_scan(root))
        self._attached_store(uid)  # what is missing went with the disk
        wanted_check(is_wanted)
        found = tuple(
            ScannedSectors(
                miner_id=miner_id,
                whole=tuple(bitfield_to_json(bitfield_of(whole.get(miner_id, ())))),
                half=tuple(bitfield_to_json(bitfield_of(half.get(miner_id, ())))),
                half_bytes=tuple(size for _, size in sorted(halves.get(miner_id, {}).items())),
            )
            for miner_id in sorted(whole.keys() | half.keys())
        )
        self._keep(ScannedStore(command=command.id, miners=found, others=others))

    def _attached_store(self, uid: str) -> Store:
        """Return an attached store that is there.  Raises NotAttached, StoreAway."""
        one = self.stores.of_uid(uid)
        if one is None:
            raise NotAttached("this host does not have the store attached")
        return one.require()

    def _is_ordered(self, command: str) -> bool:
        return command not in self._withdrawn

    def _goes_on(self) -> bool:
        return not self._is_stopped.is_set() and not self._is_disturbed

    def found(self, commands: Iterable[str]) -> tuple[tuple[CheckedSector, ...], tuple[ScannedStore, ...]]:
        """Return what these checks and scans have found."""
        with self._lock:
            return (
                tuple(self._checked[one] for one in commands if one in self._checked),
                tuple(self._scanned[one] for one in commands if one in self._scanned),
            )

    def told(self, commands: Iterable[str]) -> None:
        """Forget what these have found: the console has it."""
        with self._lock:
            for one in commands:
                self._checked.pop(one, None)
                self._scanned.pop(one, None)

    def ordered(self, commands: Collection[str]) -> None:
        """Note all that the console orders now: a scan of which it says no more was cancelled, and stops.

        What it has found is forgotten; what changes files goes on to its end, or does not begin.
        """
        with self._lock:
            self._withdrawn |= {one for one, fault in self._orders.items() if fault is None} - {*commands}
            for found in (self._checked, self._scanned):
                for one in found.keys() - {*commands}:
                    del found[one]

    def _work(self) -> None:
        while not self._is_stopped.is_set():
            is_ordered = self._wanted.wait(LOOK_S)
            self._wanted.clear()
            try:
                self.tick(is_ordered=is_ordered)
            except OSError as error:  # the worker's own folder: leases tell of it
                log.warning("stores_not_looked_at", reason=str(error)[:200])

    def tick(self, *, is_ordered: bool = True) -> None:
        """Begin a look at each store; one that has not answered for long is away.

        A bucket that was well is looked at again after BUCKET_LOOK_S, or after an order.
        """
        attached = self.stores.attached()
        with self._lock:
            for gone in self._told.keys() - {one.path for one in attached}:
                del self._told[gone]
        for one in attached:
            look = self._looks.setdefault(one.path, _Look())
            if not look.is_running:
                if one.is_bucket and self._is_well(one) and not is_ordered and look.lasts_s < BUCKET_LOOK_S:
                    continue
                look.begin(lambda one=one: self._look(one, attached))  # type: ignore[misc]  # bound now
            elif look.lasts_s > HANGS_S:
                say = f"{one.path} does not answer: check its disk or its server"
                self._note(told(one, StoreCondition.AWAY, say))

    def _is_well(self, one: Attachment) -> bool:
        with self._lock:
            found = self._told.get(one.path)
        return found is not None and found.condition in READABLE

    def _look(self, one: Attachment, others: list[Attachment]) -> None:
        self._note(
            store_look(
                one, self.stores, sector_bytes=self.sector_bytes, others=others, count=self._counts.count
            )
        )

    def _note(self, found: AttachedStore) -> None:
        with self._lock:
            before, self._told[found.path] = self._told.get(found.path), found
        if before is None or before.condition is not found.condition:
            log.info("store_condition", store=found.name, condition=found.condition, reason=found.reason)
            self.on_change()


def disk_folders(stores: Stores) -> tuple[Path, ...]:
    """Return the folders of the stores that can be read, whose disks are reported."""
    return tuple(one.store.root for one in stores.attached() if not one.is_bucket and one.is_here)


class _Look:
    """A look at one store, which may never end."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.begun = 0.0

    @property
    def is_running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    @property
    def lasts_s(self) -> float:
        """Return the seconds since it began."""
        return time.monotonic() - self.begun

    def begin(self, work: Callable[[], None]) -> None:
        self.begun = time.monotonic()
        self.thread = threading.Thread(target=work, name="store", daemon=True)
        self.thread.start()


def _nothing() -> None:
    """Ignore a change."""
