"""Folders on several disks in which a host seals: which of them a new sector goes to, and which are there.

Each bears a `sectorstore.json` as stores do, whose `Weight`, `ReserveBytes`, `ReadOnly`, `AllowMiners` and
`DenyMiners` are obeyed; `sealing_stores.json` in the host's folder says which mark lay where.
"""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from poolsite.wire.hardware import SealingFolder
from poolsite.wire.stores import UID_MAX
from workers.processors.errors import BadInput
from workers.stage_processors import SEALING
from workers.storage.answers import answered
from workers.storage.attachment import Attachment, attachment_of
from workers.storage.files import NotEnoughSpace, write_file
from workers.storage.sizes import size_text
from workers.storage.store import MARK, Store, StoreAway
from workers.storage.store_mark import BadMark, StoreMark

SEALING_STORES: Final = "sealing_stores.json"
"""In a worker's folder: the sealing stores, by path and identity."""
REASON_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Room:
    """What a sealing store that answers has."""

    mark: StoreMark
    disk: str
    """Which disk of this host it is."""
    free_bytes: int
    """Beyond its reserve."""
    total_bytes: int
    is_read_only: bool


class SealingStores:
    """The sealing stores of a host; its processes share what the file says."""

    def __init__(self, folder: Path, paths: Sequence[Path] = ()) -> None:
        self.path, self.paths = folder / SEALING_STORES, tuple(map(str, paths))
        self._read_at: tuple[int, list[Attachment]] | None = None

    def open(self) -> None:
        """Write down which stores there are; a folder that is new gets a mark.  Raises BadMark."""
        known = {one.path: one for one in self.attached()}
        rows = []
        for path in self.paths:
            try:
                rows.append(known.get(path) or _marked(Path(path)))
            except OSError as error:
                text = error.strerror or str(error)
                raise BadMark(f"{path} cannot be a sealing store: {text}: check the path") from None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if rows or known:
            write_file(self.path, json.dumps([asdict(row) for row in rows], indent=1).encode())

    def attached(self) -> list[Attachment]:
        """Return the sealing stores, whether they are there or not.  Raises StoreAway."""
        try:
            stamp = self.path.stat().st_mtime_ns
            if self._read_at is None or self._read_at[0] != stamp:
                rows = [Attachment(**row) for row in json.loads(self.path.read_text())]
                self._read_at = stamp, rows
        except FileNotFoundError:
            return []
        except (ValueError, TypeError) as error:
            raise StoreAway(f"{self.path} cannot be read ({error}): restore a copy, or remove it") from None
        return self._read_at[1]

    def roots(self) -> list[Path]:
        """Return their sealing folders."""
        return [root_of(one) for one in self.attached()]

    def of_root(self, root: Path) -> Attachment | None:
        """Return the store that a sealing folder lies in."""
        return next((one for one in self.attached() if root_of(one) == root), None)

    def choose(
        self, *, miner_id: int, needs_bytes: int, promised: Mapping[str, int], beside: Mapping[str, int]
    ) -> Attachment:
        """Return the store for a new sector: of those that take it the largest weight times free bytes.

        `promised` are the bytes that sectors there have yet to write, by path; `beside` those of sectors on
        their way into stores, by disk.  What is promised on a disk none of its folders has.  Raises BadInput
        if none ever takes the miner's; StoreAway, NotEnoughSpace if that may change by itself.
        """
        best: tuple[int, Attachment] | None = None
        refused, full, attached = 0, "", self.attached()
        rooms, away = _rooms_read(attached)
        owed = Counter(beside)
        for one, room in rooms:
            owed[room.disk] += promised.get(one.path, 0)
        for one, room in rooms:
            if not _accepts(room.mark, miner_id):
                refused += 1
                continue
            if room.is_read_only:
                away.append(f"{one.path} is read-only")
                continue
            free = room.free_bytes - owed[room.disk]
            if free < needs_bytes:
                full = f"{one.path}: {size_text(needs_bytes)} of disk needed, {size_text(max(free, 0))} free"
            elif best is None or max(room.mark.weight, 1) * free > best[0]:
                best = max(room.mark.weight, 1) * free, one
        if best is not None:
            return best[1]
        if refused == len(attached):
            raise BadInput(
                f"no sealing store of this host accepts sectors of f0{miner_id}: "
                f"see AllowMiners and DenyMiners in their {MARK}"
            )
        if full:
            raise NotEnoughSpace(full)
        raise StoreAway(f"no sealing store is available for a new sector: {'; '.join(away)[:REASON_MAX]}")

    def rooms(self, room_bytes: int, promised: Mapping[str, int], beside: Mapping[str, int]) -> int:
        """Return for how many new sectors there is room; of stores on one disk it is counted once.

        The promises are those of `choose`.
        """
        left: dict[str, int] = {}
        owed = Counter(beside)
        for one in self.attached():
            try:
                room = _room_read(one)
            except (OSError, BadMark):
                continue  # away or misdeclared, which its condition reports
            owed[room.disk] += promised.get(one.path, 0)
            if not room.is_read_only:
                left[room.disk] = max(left.get(room.disk, 0), room.free_bytes)
        return sum(max(free - owed[disk], 0) // room_bytes for disk, free in left.items())

    def reported(self, sectors: Mapping[str, int]) -> dict[str, SealingFolder]:
        """Return each store as the console is told, with the sectors that are sealed in it by path."""
        return {one.path: _reported(one, sectors.get(one.path, 0)) for one in self.attached()}


def root_of(one: Attachment) -> Path:
    """Return a sealing store's sealing folder."""
    return Path(one.path) / SEALING


def _marked(path: Path) -> Attachment:
    """Return a new sealing store; one without a mark gets that of a store for sealing only."""
    if not path.is_dir():
        raise BadMark(f"{path} is not a folder: create it or mount its disk first")
    if not (path / MARK).exists():
        name = uuid.uuid4()
        facts = {"ID": str(name), "Name": f"sealing-{name.hex[:8]}", "Weight": 1}
        facts |= {"CanSeal": True, "CanStore": False}
        write_file(path / MARK, json.dumps(facts, indent=2).encode())
    return attachment_of(Store(path))


def _room_read(one: Attachment) -> Room:
    """Return what a store has, if it is the one that was there.  Raises StoreAway, BadMark, OSError."""
    return answered(one.path, lambda _: _room(one))


def _rooms_read(attached: Sequence[Attachment]) -> tuple[list[tuple[Attachment, Room]], list[str]]:
    """Return what each of these stores has, and why it is not known of the others."""
    rooms, away = list[tuple[Attachment, Room]](), list[str]()
    for one in attached:
        try:
            rooms.append((one, _room_read(one)))
        except (OSError, BadMark) as error:
            away.append(str(error))
    return rooms, away


def _room(one: Attachment) -> Room:
    store = one.store
    mark = store.mark() if store.is_there else None
    if mark is None or (mark.uid or mark.name)[:UID_MAX] != one.uid:
        raise StoreAway(
            f"{one.path} no longer contains this host's sealing store: is its disk mounted? "
            "If you replaced it on purpose, start the host once without its [[sealing_store]]"
        )
    disk = os.statvfs(one.path)
    return Room(
        mark=mark,
        disk=str(store.root.stat().st_dev),
        free_bytes=disk.f_bavail * disk.f_frsize - mark.reserve_bytes,
        total_bytes=disk.f_blocks * disk.f_frsize,
        is_read_only=mark.read_only or bool(disk.f_flag & os.ST_RDONLY),
    )


def _accepts(mark: StoreMark, miner_id: int) -> bool:
    is_allowed = not mark.allow_miners or miner_id in mark.allow_miners
    return is_allowed and miner_id not in mark.deny_miners


def _reported(one: Attachment, sectors: int) -> SealingFolder:
    try:
        room = _room_read(one)
    except (OSError, BadMark) as error:
        return SealingFolder(sectors=sectors, reason=str(error)[:REASON_MAX])
    reason = f"{one.path} is read-only: no new sectors start there" if room.is_read_only else ""
    if not reason and room.free_bytes <= 0:
        reason = f"{one.path} is full except for its reserve: no new sectors start there"
    return SealingFolder(
        sectors=sectors,
        disk=room.disk,
        total_bytes=room.total_bytes,
        free_bytes=max(room.free_bytes, 0),
        weight=room.mark.weight,
        reserve_bytes=room.mark.reserve_bytes,
        allow_miners=tuple(sorted(room.mark.allow_miners)),
        deny_miners=tuple(sorted(room.mark.deny_miners)),
        reason=reason,
    )
