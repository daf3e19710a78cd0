"""A store of sectors as a host that has it attached sees it, and the conditions that it can be in."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from poolsite.wire.codec import BadWire, Document, Int, Text

STORES_MAX: Final = 200
"""Stores of one host."""
UID_MAX: Final = 100
"""Longest identity and name of a store."""
PATH_MAX: Final = 500
WEIGHT_MAX: Final = 1_000
UNBOUNDED_BYTES: Final = 1 << 50
"""Size of a bucket without MaxStorage in its mark, which tells none: no promise of room."""
ROOM_PROMISED: Final = "promised to sectors on their way"
"""In a fault that a host tells: there will be room once those have come, or will not."""


class StoreCondition(StrEnum):
    """What a host finds where a store is attached."""

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
        raise BadWire("attached", f"must be {STORES_MAX} at most")
    for store in stores:
        if not 0 < len(store.uid) <= UID_MAX or not 0 < len(store.name) <= UID_MAX:
            raise BadWire("attached", f"must have a uid and a name of 1 to {UID_MAX} characters")
        if len(store.path) > PATH_MAX:
            raise BadWire("attached", f"must have paths of {PATH_MAX} characters at most")
        if min(store.total_bytes, store.free_bytes, store.reserved_bytes, store.sectors, store.weight) < 0:
            raise BadWire("attached", "must not have negative sizes")
