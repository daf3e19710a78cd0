"""Inspection of an attached store: its condition and its space."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from poolsite.wire.stores import UID_MAX, AttachedStore, StoreCondition
from poolsite.wire.sums import stored_bytes
from workers.storage.files import space_of, write_fault
from workers.storage.sizes import size_text
from workers.storage.store import MARK, Store, StoreAway
from workers.storage.store_mark import BadMark, StoreMark

if TYPE_CHECKING:
    from workers.storage.attachment import Attachment
    from workers.storage.stores import Stores

REASON_MAX: Final = 300
FULL_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT)
READ_ONLY_ERRORS: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


def store_condition_read(
    one: Attachment,
    stores: Stores,
    *,
    sector_bytes: int,
    others: Iterable[Attachment] = (),
    count: Callable[[Store], int] | None = None,
) -> AttachedStore:
    """Inspect a store; what goes wrong is its condition."""
    try:
        found = _condition_read(one, stores, sector_bytes=sector_bytes, others=others)
        return replace(found, sectors=(count or sector_count)(one.store)) if found.total_bytes else found
    except BadMark as error:
        return attached_store(one, StoreCondition.BAD_MARK, str(error))
    except StoreAway as error:
        return attached_store(one, StoreCondition.AWAY, str(error))
    except OSError as error:
        text = error.strerror or str(error)
        return attached_store(one, StoreCondition.AWAY, f"{one.path}: {text}: {one.texts.doubt}")


def _condition_read(
    one: Attachment, stores: Stores, *, sector_bytes: int, others: Iterable[Attachment]
) -> AttachedStore:
    store = one.store
    root = store.root
    if not root.is_dir() and not one.is_bucket:
        return attached_store(one, StoreCondition.AWAY, f"{root} is not a folder: mount its disk")
    if not store.is_there:
        return attached_store(
            one, StoreCondition.AWAY, f"{root} has no {MARK}: {one.texts.back.format(name=one.name)}"
        )
    mark = store.mark()
    if (mark.uid or mark.name)[:UID_MAX] != one.uid:
        say = f"{root} now contains {mark.name}: mount {one.name} there, or detach it and attach the other"
        return attached_store(one, StoreCondition.REPLACED, say)
    if twin := next((other for other in others if other.uid == one.uid and other.path < one.path), None):
        say = f"it is already attached as {twin.path}: detach one, or give a copied {MARK} a new ID"
        return attached_store(one, StoreCondition.TWICE, say)
    condition, reason, sizes = _room(one, stores, mark, sector_bytes=sector_bytes)
    return attached_store(one, condition, reason, mark=mark, **sizes)


def _room(
    one: Attachment, stores: Stores, mark: StoreMark, *, sector_bytes: int
) -> tuple[StoreCondition, str, dict[str, int | str]]:
    """Return condition, reason and sizes of a store that is there.  Raises OSError."""
    root = one.store.root
    reserved, need = stores.reserved_bytes(one), stored_bytes(sector_bytes)
    disk = space_of(root)
    free, total = disk.free - mark.reserve_bytes, disk.total
    if mark.max_bytes:
        free, total = min(free, mark.max_bytes - stores.used.of(root)), min(total, mark.max_bytes)
    elif one.is_bucket:
        free -= stores.used.of(root)
    sizes: dict[str, int | str] = {
        "total_bytes": total,
        "free_bytes": max(free - reserved, 0),
        "reserved_bytes": reserved,
        "disk": disk.disk,
        "disk_bytes": disk.total,
        "disk_free_bytes": max(disk.free - mark.reserve_bytes, 0),
    }
    if disk.is_read_only:
        return StoreCondition.READ_ONLY, f"{one.path} is mounted read-only: remount it for writing", sizes
    if one.path in stores.read_only:
        say = f"[[attached]] in the host's file sets {one.path} to readonly"
        return StoreCondition.READ_ONLY, say, sizes
    if mark.read_only:
        say = f"ReadOnly is set in its {MARK}: allow writing on page Storage"
        return StoreCondition.READ_ONLY, say, sizes
    fault = write_fault(root)
    if fault in READ_ONLY_ERRORS:
        say = f"{one.path} is not writable ({os.strerror(fault)}): {one.texts.writing}"
        return StoreCondition.READ_ONLY, say, sizes
    if fault in FULL_ERRORS or free < need:
        say = f"{size_text(max(free, 0))} free, a sector needs {size_text(need)}: attach another store"
        return StoreCondition.FULL, say, sizes
    if fault:
        raise OSError(fault, os.strerror(fault))
    return StoreCondition.READY, "", sizes


def sector_count(store: Store) -> int:
    """Return how many replicas lie in a store."""
    return sum(len(numbers) for numbers in store.numbers().values())


class SectorCounts:
    """Counts replicas again only after something was put into a store or taken out."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], int]] = {}

    def count(self, store: Store) -> int:
        """Return how many replicas lie in a store."""
        stamps = []
        for kind in ("sealed", "update"):
            with suppress(FileNotFoundError):
                stamps.append((store.root / kind).stat().st_mtime_ns)
        known = self._known.get(store.root)
        if known is None or known[0] != tuple(stamps):
            known = self._known[store.root] = tuple(stamps), sector_count(store)
        return known[1]


def attached_store(
    one: Attachment,
    condition: StoreCondition,
    reason: str,
    *,
    mark: StoreMark | None = None,
    **sizes: Any,
) -> AttachedStore:
    """Return a store as the console is told."""
    rules: dict[str, Any] = {}
    if mark is not None:
        rules = {
            "weight": mark.weight,
            "max_bytes": mark.max_bytes,
            "reserve_bytes": mark.reserve_bytes,
            "is_read_only": mark.read_only,
            "can_seal": mark.can_seal,
            "can_store": mark.can_store,
            "groups": mark.groups,
            "allow_miners": tuple(sorted(mark.allow_miners)),
            "deny_miners": tuple(sorted(mark.deny_miners)),
            "allow_types": tuple(sorted(mark.allow_types)),
            "deny_types": tuple(sorted(mark.deny_types)),
        }
    return AttachedStore(
        uid=one.uid,
        name=one.name if mark is None else mark.name[:UID_MAX],
        path=one.path,
        condition=condition,
        reason=reason[:REASON_MAX],
        by_console=one.by_console,
        **sizes,
        **rules,
    )
