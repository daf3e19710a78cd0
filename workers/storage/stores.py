"""The stores of a worker: where a sector lies, where a finished one is put, what room is promised."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from workers.storage.answers import answered
from workers.storage.attached_stores import AttachedStores
from workers.storage.attachment import NotAttached
from workers.storage.bucket_files import CHECK_AGAIN_S, LIST_SHARE
from workers.storage.files import NotEnoughSpace, names_in, space_of, write_file
from workers.storage.parts import REPLICAS, is_lent
from workers.storage.promises import Promises, Room, RoomPromised, promise_of, renewed, room_fault
from workers.storage.sector import SectorFiles, sector_name
from workers.storage.store import Store, StoreAway
from workers.storage.store_mark import BadMark, StoreRefuses
from workers.storage.used import UsedBytes

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.storage.attachment import Attachment
    from workers.storage.bucket_settings import BucketSettings
    from workers.storage.files import Space
    from workers.storage.promises import Promise
    from workers.storage.store_mark import StoreMark

RESERVED: Final = "reserved"
"""In a worker's folder: by job, the store that its sector is about to be put into."""
LIST_S: Final = 60.0
"""How long the names of a store's sectors are waited for."""


class Stores(AttachedStores):
    """The stores of one worker, with their sectors and their room."""

    def __init__(
        self,
        folder: Path,
        roots: Sequence[Path] = (),
        *,
        read_only: Collection[Path] = (),
        buckets: Mapping[str, BucketSettings] | None = None,
    ) -> None:
        super().__init__(folder, roots, read_only=read_only, buckets=buckets)
        self.used = UsedBytes()
        self.promises = Promises()
        self._miners: dict[str, tuple[set[int], float]] = {}
        """By store: the miners that it had when it was listed last, and from when on it is listed again."""

    def holding(self, *, miner_id: int, number: int) -> list[Attachment]:
        """Return the stores that are there and have a sector's replica."""
        name = sector_name(miner_id, number)

        def has(store: Store) -> bool:
            return any((store.root / kind / name).exists() for kind in ("sealed", "update"))

        found = []
        for one in self.attached():
            # One that is away may have it too, and is asked once it is back.
            with suppress(OSError, BadMark):
                if one.read(has):
                    found.append(one)
        return found

    def roots_beside(self, root: Path) -> list[Path]:
        """Return the roots of the other stores that are there: they may lend caches."""
        return [one.store.root for one in self.here() if one.store.root != root]

    def lent_check(self, uid: str) -> None:
        """Raise NotAttached if a store that is there lends caches: without it their sectors become faulty."""
        one = self.of_uid(uid)
        if one is None or not one.is_here:
            return
        root, others = one.store.root, self.roots_beside(one.store.root)
        for _, cache in REPLICAS:
            with suppress(FileNotFoundError):
                if name := next((name for name in names_in(root / cache) if is_lent(root, others, name)), ""):
                    raise NotAttached(
                        f"{root} has the cache of {name}, whose replica lies in another store: "
                        "move such sectors into one store first"
                    )

    def proven_files(
        self,
        parameters: SealParameters,
        *,
        miner_id: int,
        number: int,
        comm_r: bytes,
        here: Sequence[Attachment] | None = None,
    ) -> SectorFiles | None:
        """Return the files with this comm_r; else any of the sector's name; None if there are none.

        `here` are the stores of the replica.  lotus-miner may keep its cache in another one: they are found,
        where none has both.
        Raises OSError where a store went away.
        """
        found, caches, known = None, list[SectorFiles](), self.here() if here is None else here
        for one in known:
            old = one.store.files(parameters, miner_id=miner_id, number=number)
            for files in (one.store.updated_files(parameters, miner_id=miner_id, number=number), old):
                try:
                    if (is_part := _comm_r(files) == comm_r) and files.sealed.exists():
                        return files
                    caches += [files] if is_part else []
                    is_part = is_part or (files is old and (files.sealed.exists() or files.cache.exists()))
                except OSError:
                    if not one.is_here:
                        raise
                    # Of this sector alone: whoever reads it finds if it is faulty, and proves the others.
                    is_part = files is old or _is_there(files.sealed)
                if found is None and is_part:
                    found = files
        if here is not None:  # a cache may lie elsewhere
            for one in (other for other in self.here() if other not in known):
                caches += _caches(one.store, parameters, miner_id=miner_id, number=number, comm_r=comm_r)
        return next(filter(None, (_paired(cache, known) for cache in caches)), found)

    def miners(self) -> set[int]:
        """Return the ids of the miners whose sectors lie in a store that is there.

        A store that cannot be listed has those that it had; a bucket, where that costs, is listed less often.
        """
        found: dict[str, tuple[set[int], float]] = {}
        for one in self.here():
            known, due_at = self._miners.get(one.uid, (set(), 0.0))
            if (started := monotonic()) >= due_at:
                with suppress(OSError):
                    known = set(sectors_listed(one))
                took = monotonic() - started
                due_at = started + max(CHECK_AGAIN_S, LIST_SHARE * took) if one.is_bucket else 0.0
            found[one.uid] = known, due_at
        self._miners = found
        return {miner for known, _ in found.values() for miner in known}

    def choose(
        self,
        *,
        miner_id: int,
        needs_bytes: int,
        is_update: bool = False,
        job: str = "",
        among: Sequence[Attachment] | None = None,
    ) -> Attachment:
        """Return the store for a finished sector: of those that take it the largest weight times free bytes.

        Raises StoreRefuses if none ever would; StoreAway, NotEnoughSpace if that may change by itself,
        RoomPromised where it waits for what others are about to put there.
        """
        refusals: list[str] = []
        full: NotEnoughSpace | None = None
        best: tuple[int, Attachment] | None = None
        disks = self._disks()
        for one in (attached := self.attached() if among is None else list(among)):
            try:
                on_disk = self._beside(one, disks)
                reading = partial(self._room_read, one, on_disk, job)
                mark, disk, room, promised, beside = one.read(reading)
                mark.takes(miner_id=miner_id, is_update=is_update)
            except (StoreRefuses, BadMark) as error:
                refusals.append(str(error))
                continue
            except OSError:
                continue  # away, which its condition reports; another may take the sector
            if one.path in self.read_only or disk.is_read_only:
                continue
            free = room.left(promised, beside)
            if fault := room_fault(one.path, needs=needs_bytes, room=room, promised=promised, beside=beside):
                full = full if isinstance(full, RoomPromised) else fault  # that may soon be over
            elif best is None or max(mark.weight, 1) * free > best[0]:
                best = max(mark.weight, 1) * free, one
        if best is not None:
            return best[1]
        if refusals and len(refusals) == len(attached):
            raise StoreRefuses("; ".join(refusals))
        if full is not None:
            raise full
        names = ", ".join(one.name for one in attached) or "none is attached"
        raise StoreAway(f"no store can accept the sector now ({names}): see page Storage")

    def _room_read(
        self, one: Attachment, on_disk: Sequence[Path], job: str, store: Store
    ) -> tuple[StoreMark, Space, Room, list[Promise], list[Promise]]:
        promised = self.promises.live(store.root, without=job)
        beside = self.promises.live_beside(on_disk, without=job)
        return store.mark(), space_of(store.root), self.room(one), promised, beside

    def _disks(self) -> dict[str, str]:
        """Return which disk each folder is on that is a store and answers, by its path."""
        found: dict[str, str] = {}
        for one in self.attached():
            if not one.is_bucket:
                # One that is away is on no disk that another one is on.
                with suppress(OSError, BadMark):
                    found[one.path] = one.read(lambda store: space_of(store.root).disk)
        return found

    def promised(self) -> Counter[str]:
        """Return what is promised in the stores that answer, by the disk that they are on."""

        def read(store: Store) -> tuple[str, int]:
            return space_of(store.root).disk, sum(one.bytes for one in self.promises.live(store.root))

        found: Counter[str] = Counter()
        for one in {other.uid: other for other in self.attached() if not other.is_bucket}.values():
            with suppress(OSError, BadMark):
                disk, size = one.read(read)
                found[disk] += size
        return found

    def _beside(self, one: Attachment, disks: Mapping[str, str]) -> list[Path]:
        """Return the roots of the other stores on a store's disk; not of a second path of the same one."""
        return [
            other.store.root
            for other in self.attached()
            if other.uid != one.uid and one.path in disks and disks.get(other.path) == disks[one.path]
        ]

    def room(self, one: Attachment, *, is_anew: bool = False) -> Room:
        """Return what a store has free beside all promises.  Raises OSError, BadMark."""
        root = one.store.root
        mark = one.store.mark()
        limit = mark.max_bytes - self.used.of(root, is_anew=is_anew) if mark.max_bytes else None
        return Room(space_of(root).free - mark.reserve_bytes, limit)

    @contextmanager
    def reserved(self, job: str, one: Attachment, size: int) -> Iterator[None]:
        """Promise so much room of a store to a job while it puts its sector there.

        Raises RoomPromised, NotEnoughSpace, StoreAway, BadMark, OSError.
        """
        self.reserve(job, one, size)
        try:
            own = promise_of(job, size)
            with renewed(lambda: one.read(lambda store: self.promises.renew(store.root, own))):
                yield
        finally:
            self.release(job)

    def reserve(self, job: str, one: Attachment, size: int) -> None:
        """Promise room of a store to a job, for as long as promises last.  Raises as `reserved` does."""
        folder = self.folder / RESERVED
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / job, json.dumps({"uid": one.uid, "bytes": size}).encode())
        own, beside = promise_of(job, size), self._beside(one, self._disks())

        def make(beat: Callable[[], None]) -> None:
            room = partial(self.room, one, is_anew=True)
            self.promises.make(one.require().root, own, room=room, beside=beside, beat=beat)

        answered(one.path, make)

    def release(self, job: str) -> None:
        """End what was promised to a job; in a store that does not answer it ends by itself."""
        path = self.folder / RESERVED / job
        if one := self.of_uid(_reserved_in(path)):
            with suppress(OSError, BadMark):
                one.read(lambda store: self.promises.end(store.root, job))
        path.unlink(missing_ok=True)

    def reserved_bytes(self, one: Attachment, *, without: str = "") -> int:
        """Return what hosts are about to put into a store, but for one job.  Raises OSError."""
        return sum(other.bytes for other in self.promises.live(one.store.root, without=without))


def sectors_listed(one: Attachment) -> dict[int, list[int]]:
    """Return the numbers of a store's sectors, by the id of their miner.  Raises OSError."""
    return answered(one.path, lambda _: one.store.numbers(), patience_s=LIST_S, what="list")


def _comm_r(files: SectorFiles) -> bytes | None:
    """Return what p_aux says; a server or disk that refuses it for a moment is asked once more."""
    with suppress(OSError):
        return files.comm_r
    return files.comm_r


def _caches(
    store: Store, parameters: SealParameters, *, miner_id: int, number: int, comm_r: bytes
) -> list[SectorFiles]:
    """Return the files of a store that has a cache with this comm_r, and no replica."""
    named = {"miner_id": miner_id, "number": number}
    places = store.updated_files(parameters, **named), store.files(parameters, **named)
    with suppress(OSError):  # it went away, as it may
        return [files for files in places if files.comm_r == comm_r and not files.sealed.exists()]
    return []


def _paired(files: SectorFiles, stores: Sequence[Attachment]) -> SectorFiles | None:
    """Return a cache with its replica out of another store; None if no store has it."""
    for one in stores:
        replica = one.store.root / files.sealed.parent.name / files.sealed.name
        if type(replica) is type(files.sealed) and _is_there(replica):
            return replace(files, sealed=replica)
    return None


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _reserved_in(file: Path) -> str:
    """Return the identity of the store that a job was promised room in; nothing where none is known."""
    try:
        return str(json.loads(file.read_text())["uid"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
