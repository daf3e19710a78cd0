"""What the console orders for a worker's stores: attach, detach, change, move, check, scan, remove.

Each order is carried out in a thread of its own: leases go on.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.wire.codec import document_encode
from poolsite.wire.commands import Operation
from poolsite.wire.store_checks import CheckedSector, ScannedFile, ScannedSectors, ScannedStore
from workers.storage.answers import COPY_S, answered
from workers.storage.attachment import NotAttached
from workers.storage.files import unfinished_sizes
from workers.storage.moves import copy_drop, moved_sector, sector_copy, sector_remove
from workers.storage.sector import sector_name
from workers.storage.store_check import checked_one, sector_check, wanted_check
from workers.storage.store_mark import BadMark
from workers.storage.store_scan import (
    leftover_remove,
    others_scan,
    sector_bytes,
    sector_kinds,
    sectors_scan,
)

if TYPE_CHECKING:
    from poolsite.wire.commands import Command
    from poolsite.wire.store_checks import CheckedFile
    from workers.storage.moves import MovedSector
    from workers.storage.store import Store
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

MOVES: Final = {Operation.COPY_SECTOR: sector_copy, Operation.REMOVE_COPY: sector_remove}
MOVES_NOW: Final = "a move is writing or removing the sector's files here"
NOT_ORDERED: Final = "the command was withdrawn"
FINISHED_MAX: Final = 100
"""Orders whose end is remembered, should the console ask again."""


class StoreOrders:
    """Carries out orders for stores, and remembers what checks and scans have found."""

    def __init__(self, stores: Stores, *, on_end: Callable[[], None]) -> None:
        self.stores = stores
        self.on_end = on_end
        """Called when an order was carried out, or could not be."""
        self._lock = threading.Lock()
        self._is_stopped = False
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

    def stop(self) -> None:
        """Stop checks."""
        self._is_stopped = True

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
        self.on_end()

    def _act(self, command: Command) -> None:
        args = command.args
        if command.op == Operation.ATTACH:
            self.stores.attach(args["path"], init="init" in args)
        elif command.op == Operation.DETACH:
            self.stores.lent_check(args["uid"])
            self.stores.detach(args["uid"])
        elif command.op == Operation.SET_STORE:
            self.stores.change(args["uid"], args)
        elif command.op == Operation.CHECK_SECTOR:
            self._check(command)
        elif command.op == Operation.SCAN_STORE:
            self._scan(command)
        elif command.op == Operation.REMOVE_LEFTOVER:
            name = sector_name(int(args["miner_id"]), int(args["number"]))
            with self._moving, self._changes(args["uid"], name):
                if not self._is_ordered(command.id):
                    raise OSError(NOT_ORDERED)
                others = [one for one in self.stores.attached() if one.uid != args["uid"]]
                leftover_remove(self._attached_store(args["uid"]), args, others)
        else:
            moved = moved_sector(args)
            uid = moved.from_uid if command.op == Operation.REMOVE_COPY else moved.to_uid
            # One after the other: disks are read in one go.
            with self._moving, self._changes(uid, moved.name):
                self._move(Operation(command.op), moved)

    def _move(self, op: Operation, moved: MovedSector) -> None:
        """Carry out a step of a move as long as its disks go on: others wait behind it.  Raises OSError."""

        def work(beat: Callable[[], None]) -> None:
            if op == Operation.DROP_COPY:
                copy_drop(self.stores, moved)
            else:
                MOVES[op](self.stores, moved, beat=beat)

        places = " or ".join(
            one.path for uid in (moved.from_uid, moved.to_uid) if (one := self.stores.of_uid(uid))
        )
        answered(places, work, patience_s=COPY_S, what=f"move {moved.name}")

    def _check(self, command: Command) -> None:
        """Read a sector's files; one sector after the other, beside moves of others.  Raises OSError."""
        one = checked_one(command.args)

        def work(beat: Callable[[], None]) -> list[CheckedFile]:
            def is_wanted() -> bool:  # asked after each part that is read
                beat()
                return self._goes_on()

            store = self._attached_store(one.uid)
            files = sector_check(store, one, is_wanted=is_wanted, others=self.stores.roots_beside(store.root))
            self._attached_store(one.uid)  # what is missing went with the disk
            return files

        attached = self.stores.of_uid(one.uid)
        place = one.uid if attached is None else attached.path
        with self._checking, self._reads(one.uid, one.name):
            files = answered(place, work, patience_s=COPY_S, what=f"check {one.name}")
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
        others_here = self.stores.roots_beside(root)
        complete, half = sectors_scan(root, others=others_here, is_wanted=is_wanted, unfinished=unfinished)
        halves: dict[int, dict[int, tuple[int, str]]] = {}
        for miner_id, numbers in half.items():
            for number in numbers:
                wanted_check(is_wanted)
                name = sector_name(miner_id, number)
                size = sector_bytes(root, name) + unfinished.get(name, 0)
                halves.setdefault(miner_id, {})[number] = size, sector_kinds(root, name)
        others = tuple(ScannedFile(name=name, size=size) for name, size in others_scan(root))
        self._attached_store(uid)  # what is missing went with the disk
        wanted_check(is_wanted)
        found = tuple(
            ScannedSectors(
                miner_id=miner_id,
                whole=tuple(bitfield_to_json(bitfield_of(complete.get(miner_id, ())))),
                half=tuple(bitfield_to_json(bitfield_of(half.get(miner_id, ())))),
                half_bytes=tuple(size for _, (size, _) in sorted(halves.get(miner_id, {}).items())),
                half_kinds=tuple(kinds for _, (_, kinds) in sorted(halves.get(miner_id, {}).items())),
            )
            for miner_id in sorted(complete.keys() | half.keys())
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
        return not self._is_stopped and not self._is_disturbed

    def found(self, commands: Iterable[str]) -> tuple[tuple[CheckedSector, ...], tuple[ScannedStore, ...]]:
        """Return what these checks and scans have found."""
        with self._lock:
            return (
                tuple(self._checked[one] for one in commands if one in self._checked),
                tuple(self._scanned[one] for one in commands if one in self._scanned),
            )

    def forget(self, commands: Iterable[str]) -> None:
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
