"""A store of sectors as a host that has it attached sees it, and the conditions that it can be in."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Protocol

from poolsite.wire.codec import BadWire, Document, Int, Text

STORES_MAX: Final = 200
"""Stores of one host."""
UID_MAX: Final = 100
"""Longest identity and name of a store."""
PATH_MAX: Final = 500
DISK_MAX: Final = 40
WEIGHT_MAX: Final = 1_000
UNBOUNDED_BYTES: Final = 1 << 50
"""Size of a bucket without MaxStorage in its mark, which tells none: no promise of room."""
SPACE_RESERVED: Final = "promised to sectors on their way"
"""In a fault that a host tells: there will be room once those have come, or will not."""


class StoreCondition(StrEnum):
    """The condition of an attached store on a host."""

    READY = "READY"
    READ_ONLY = "READ_ONLY"
    """Its sectors are proven; nothing is put there."""
    FULL = "FULL"
    """As READ_ONLY, until there is room for a sector."""
    AWAY = "AWAY"
    """Its folder or its mark is gone, it does not answer, or the disk refuses to read."""
    REPLACED = "REPLACED"
    """Another store lies in its place."""
    BAD_MARK = "BAD_MARK"
    """Its `sectorstore.json` cannot be understood."""
    TWICE = "TWICE"
    """The host has it attached by another path as well."""


READABLE: Final = frozenset({StoreCondition.READY, StoreCondition.READ_ONLY, StoreCondition.FULL})
"""Conditions in which sectors are proven out of a store."""


class StoreSpace(Protocol):
    """The size of a store and of its disk, as `AttachedStore` reports it."""

    @property
    def free_bytes(self) -> int: ...

    @property
    def total_bytes(self) -> int: ...

    @property
    def reserved_bytes(self) -> int: ...

    @property
    def disk_bytes(self) -> int: ...

    @property
    def disk_free_bytes(self) -> int: ...


def shared_disk_space(stores: Sequence[StoreSpace]) -> tuple[int, int]:
    """Return the free and all bytes of stores that lie on one disk: never more than the disk has."""
    free, total = sum(one.free_bytes for one in stores), sum(one.total_bytes for one in stores)
    if len(stores) < 2:
        return free, total
    disk_free = max(one.disk_free_bytes for one in stores) - sum(one.reserved_bytes for one in stores)
    return max(min(free, disk_free), 0), min(total, max(one.disk_bytes for one in stores))


class AttachedStore(Document, frozen=True, kw_only=True):
    """A store as one host sees it."""

    uid: Text
    """`ID` of its `sectorstore.json`: the same wherever its disk is mounted."""
    name: Text
    path: Text
    condition: StoreCondition
    reason: Text = ""
    """One sentence with the remedy, unless it is ready."""
    total_bytes: Int = 0
    """What may lie in it: its disk, or MaxStorage where that is less."""
    free_bytes: Int = 0
    """What may still be put there, less the reserve and what this host is about to put there."""
    reserved_bytes: Int = 0
    """What this host is about to put there."""
    disk: Text = ""
    """Which disk of this host it lies on, alone or beside others; empty if that cannot be told."""
    disk_bytes: Int = 0
    disk_free_bytes: Int = 0
    """Of all stores on that disk together, less this one's reserve."""
    sectors: Int = 0
    """Replicas in it."""
    weight: Int = 1
    max_bytes: Int = 0
    reserve_bytes: Int = 0
    """Disk that is left free."""
    is_read_only: bool = False
    """By its `sectorstore.json`, whatever the disk allows."""
    can_seal: bool = False
    can_store: bool = True
    groups: tuple[Text, ...] = ()
    allow_miners: tuple[Int, ...] = ()
    deny_miners: tuple[Int, ...] = ()
    allow_types: tuple[Text, ...] = ()
    deny_types: tuple[Text, ...] = ()
    by_console: bool = False
    """Attached from the console; else by command line or file."""


def attached_check(stores: tuple[AttachedStore, ...] | None) -> None:
    """Raise BadWire for more stores than a host has, or names that are too long."""
    if stores is None:
        return
    if len(stores) > STORES_MAX:
        raise BadWire("attached", f"must have at most {STORES_MAX} entries")
    for store in stores:
        if not 0 < len(store.uid) <= UID_MAX or not 0 < len(store.name) <= UID_MAX:
            raise BadWire("attached", f"must have a uid and a name of 1 to {UID_MAX} characters")
        if len(store.path) > PATH_MAX:
            raise BadWire("attached", f"must have paths of at most {PATH_MAX} characters")
        if len(store.disk) > DISK_MAX:
            raise BadWire("attached", f"must have disk names of at most {DISK_MAX} characters")
        sizes = store.total_bytes, store.free_bytes, store.reserved_bytes, store.disk_bytes
        if min(*sizes, store.disk_free_bytes, store.sectors, store.weight) < 0:
            raise BadWire("attached", "must not have negative sizes")
