"""The stores that a worker has attached: which they are, where a sector lies, where a finished one is put.

`stores.json` in the worker's folder says which store was attached by which path; the identity of a store is
the `ID` in its own `sectorstore.json`, so that a bare folder under an absent mount is not taken for it.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from poolsite.wire.stores import UID_MAX
from workers.storage.answers import answered
from workers.storage.bucket import SCHEME, BucketSettings, url_fault
from workers.storage.bucket_files import store_path
from workers.storage.files import NotEnoughSpace, names_in, space_of, write_file
from workers.storage.promises import PROMISED, Promises, RoomPromised, promise_of, renewed, room_fault
from workers.storage.sector import sector_name
from workers.storage.store import MARK, Store, StoreAway
from workers.storage.store_mark import BadMark, StoreRefuses, mark_change, uid_of_mark
from workers.storage.sums import SUMS
from workers.storage.used import SECTOR_KINDS, UsedBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.storage.files import Space
    from workers.storage.promises import Promise
    from workers.storage.sector import SectorFiles
    from workers.storage.store_mark import StoreMark

T = TypeVar("T")

ATTACHED: Final = "stores.json"
"""In a worker's folder: the stores that are attached."""
RESERVED: Final = "reserved"
"""In a worker's folder: by job, the store that its sector is about to be put into."""


class NotAttached(Exception):
    """A store cannot be attached or detached; one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class Words:
    """What sentences say of a store's place."""

    doubt: str
    is_mounted: str
    back: str
    writing: str


FOLDER_WORDS: Final = Words(
    "is its disk mounted and healthy?",
    "is its disk mounted?",
    "mount the disk of {name} there",
    "check its mount and its owner",
)
BUCKET_WORDS: Final = Words(
    "is its server healthy?",
    "is it the right bucket?",
    "restore the sectorstore.json of {name} in the bucket",
    "allow its access key to put and delete objects there",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A store where a host has it attached."""

    path: str
    """A folder, or a bucket's url."""
    uid: str
    name: str
    by_console: bool = False
    is_detached: bool = False
    """Detached from the console, though command line or file name its path."""
    endpoint: str = ""
    region: str = ""
    credentials: str = ""
    """Of a bucket: how it is reached (`BucketSettings`)."""

    @property
    def is_bucket(self) -> bool:
        """Return whether it lies in a bucket."""
        return self.path.startswith(SCHEME)

    @property
    def words(self) -> Words:
        """Return what sentences say of its place."""
        return BUCKET_WORDS if self.is_bucket else FOLDER_WORDS

    @property
    def store(self) -> Store:
        """Return its folder, or what stands for one in a bucket."""
        return Store(store_path(self.path, BucketSettings(self.endpoint, self.region, self.credentials)))

    def require(self) -> Store:
        """Return the store if it is the one that was attached.  Raises StoreAway, BadMark, OSError."""
        store = self.store
        if store.is_there:
            mark = store.mark()
            if (mark.uid or mark.name)[:UID_MAX] == self.uid:
                return store
        raise StoreAway(
            f"{self.path} is no longer the store {self.name}: {self.words.is_mounted} "
            "If you replaced it on purpose, detach the old one and attach the new one (page Storage)"
        )

    def asked(self, work: Callable[[Store], T]) -> T:
        """Return what `work` finds in the store that was attached, if its disk answers in time.

        Raises StoreAway, BadMark, OSError.
        """
        return answered(self.path, lambda _: work(self.require()))

    @property
    def is_here(self) -> bool:
        """Return whether the store that was attached can be read."""
        try:
            return self.asked(lambda _: True)
        except (OSError, BadMark):
            return False


class Stores:
    """The stores of one worker; its processes share what the file says."""

    def __init__(
        self,
        folder: Path,
        roots: Sequence[Path] = (),
        *,
        read_only: Collection[Path] = (),
        buckets: Mapping[str, BucketSettings] | None = None,
    ) -> None:
        self.folder, self.roots = folder, tuple(roots)
        self.buckets = dict(buckets or {})
        """By the url of a root: how its bucket is reached."""
        self.read_only = frozenset(str(path) for path in read_only)
        """Paths that this host puts nothing into."""
        self.path = folder / ATTACHED
        self.used = UsedBytes()
        self.promises = Promises()
        self._known: list[Attachment] | None = None
        """What the file said last."""
        self._listing = threading.Lock()
        """Held from a read of the file to its write."""
        self._marking = threading.Lock()
        """Held while a mark changes: a disk that hangs keeps no store from being detached."""

    def open(self) -> None:
        """Attach what command line or file name and was not attached before.  Raises BadMark."""
        try:
            known = {one.path: one for one in self._read()}
        except OSError as error:
            raise BadMark(str(error)) from None
        roots = [str(root) for root in self.roots]
        kept = [one for one in known.values() if one.by_console or one.path in roots]
        for root in roots:
            settings = self.buckets.get(root, BucketSettings())
            store = Store(store_path(root, settings))
            try:
                if root in self.read_only and not store.is_there:
                    continue  # nothing is written there, not even a mark
                if root not in known:
                    kept.append(replace(attachment_of(store), **asdict(settings)))
            except StoreAway as error:
                raise BadMark(str(error)) from None
            except OSError as error:
                raise BadMark(f"{root} cannot be used as a store: {error.strerror}: check the path") from None
        told = {path: asdict(settings) for path, settings in self.buckets.items()}
        self._write([replace(one, **told.get(one.path, {})) for one in kept])

    def attached(self) -> list[Attachment]:
        """Return what is attached, whether it is there or not.  Raises StoreAway if the list is broken.

        While the disk of this host's own folder is away, what was attached stays so: a prover proves on.
        """
        return [one for one in self._read() if not one.is_detached]

    def here(self) -> list[Attachment]:
        """Return those of which the stores can be read now."""
        return [one for one in self.attached() if one.is_here]

    @property
    def is_any_here(self) -> bool:
        """Return whether a store can be read now."""
        return any(one.is_here for one in self.attached())

    def away(self) -> list[Attachment]:
        """Return those of which the stores cannot be read now."""
        return [one for one in self.attached() if not one.is_here]

    def of_uid(self, uid: str) -> Attachment | None:
        """Return a store by its identity."""
        return next((one for one in self.attached() if one.uid == uid), None)

    # What the console orders

    def attach(self, path: str, *, init: bool, settings: BucketSettings | None = None) -> Attachment:
        """Attach a folder, or a bucket by its url.  Raises NotAttached, BadMark, OSError."""
        settings = settings or BucketSettings()
        _place_check(path)
        root = store_path(path, settings)
        if not root.is_dir() and not path.startswith(SCHEME):  # a bucket's prefix need not be made
            raise NotAttached(f"{path} is not a folder on this host: create it or mount its disk first")
        if root.resolve().is_relative_to(self.folder.resolve()):
            raise NotAttached(f"{path} is in this worker's own folder: choose a path outside it")
        if not (root / MARK).exists():
            if not init:
                raise NotAttached(f"{path} has no {MARK}: attach it as a new store to create one")
            if strange := [name for name in names_in(root) if name not in KEPT_ENTRIES]:
                raise NotAttached(
                    f"{path} is not empty ({sorted(strange)[0]}): a new store needs an empty folder"
                )
        with self._marking:
            by_console = path not in map(str, self.roots)
            found = replace(attachment_of(Store(root)), by_console=by_console, **asdict(settings))
        with self._listing:
            rows = self._read()
            for one in rows:
                if not one.is_detached and one.uid == found.uid and one.path != path:
                    raise NotAttached(f"store {one.name} is already attached as {one.path}")
            self._write([*(one for one in rows if one.path != path), found])
        return found

    def detach(self, uid: str) -> None:
        """Detach a store; its files stay, and so does what is named by the command line, as detached."""
        with self._listing:
            rows = [one for one in self._read() if one.uid != uid or not one.by_console]
            self._write([replace(one, is_detached=True) if one.uid == uid else one for one in rows])

    def change(self, uid: str, args: dict[str, str]) -> None:
        """Write what the console sets into a store's mark.  Raises NotAttached, ValueError, OSError."""
        one = self.of_uid(uid)
        if one is None:
            raise NotAttached("this host does not have the store attached")
        keys: dict[str, Any] = {}
        for name, key in (
            ("weight", "Weight"),
            ("reserve_bytes", "ReserveBytes"),
            ("max_bytes", "MaxStorage"),
        ):
            if name in args:
                keys[key] = int(args[name])
        if "read_only" in args:
            keys["ReadOnly"] = args["read_only"] == "yes"
        with self._marking:
            mark_change(one.require().root / MARK, keys)

    # Where sectors lie

    def holding(self, *, miner_id: int, number: int) -> list[Attachment]:
        """Return the stores that are there and have a sector's replica."""
        name = sector_name(miner_id, number)

        def has(store: Store) -> bool:
            return any((store.root / kind / name).exists() for kind in ("sealed", "update"))

        found = []
        for one in self.attached():
            with suppress(OSError, BadMark):
                if one.asked(has):
                    found.append(one)
        return found

    def proven_files(
        self,
        parameters: SealParameters,
        *,
        miner_id: int,
        number: int,
        comm_r: bytes,
        here: Sequence[Attachment] | None = None,
    ) -> SectorFiles | None:
        """Return the files with this comm_r; else any of the sector's name; None if there are none."""
        found = None
        for one in self.here() if here is None else here:
            files = one.store.proven_files(parameters, miner_id=miner_id, number=number, comm_r=comm_r)
            if files.comm_r == comm_r and files.sealed.exists():
                return files
            if found is None and (files.sealed.exists() or files.cache.exists()):
                found = files
        return found

    def miners(self) -> set[int]:
        """Return the ids of the miners whose sectors lie in a store that is there."""
        return {miner for one in self.here() for miner in one.store.miners()}

    # Where a finished sector is put

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
        for one in (attached := self.attached() if among is None else list(among)):
            try:
                mark, disk, room, promised = one.asked(lambda store, one=one: self._room(store, one, job))  # type: ignore[misc]  # bound now
                mark.takes(miner_id=miner_id, is_update=is_update)
            except (StoreRefuses, BadMark) as error:
                refusals.append(str(error))
                continue
            except OSError:
                continue
            if one.path in self.read_only or disk.is_read_only:
                continue
            free = room - sum(other.bytes for other in promised)
            if fault := room_fault(one.path, needs=needs_bytes, room=room, promised=promised):
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

    def _room(self, store: Store, one: Attachment, job: str) -> tuple[StoreMark, Space, int, list[Promise]]:
        promised = self.promises.live(store.root, without=job)
        return store.mark(), space_of(store.root), self.room_bytes(one), promised

    def room_bytes(self, one: Attachment, *, is_anew: bool = False) -> int:
        """Return what a store has free beside all promises.  Raises OSError, BadMark."""
        root = one.store.root
        mark = one.store.mark()
        free = space_of(root).free - mark.reserve_bytes
        if mark.max_bytes:
            free = min(free, mark.max_bytes - self.used.of(root, is_anew=is_anew))
        return free

    def free_bytes(self, one: Attachment, *, without: str = "") -> int:
        """Return what may still be put into a store.  Raises OSError, BadMark."""
        promised = self.reserved_bytes(one, without=without)
        return self.room_bytes(one) - promised

    @contextmanager
    def reserved(self, job: str, one: Attachment, size: int) -> Iterator[None]:
        """Promise so much room of a store to a job while it puts its sector there.

        Raises RoomPromised, NotEnoughSpace, StoreAway, BadMark, OSError.
        """
        self.reserve(job, one, size)
        try:
            own = promise_of(job, size)
            with renewed(lambda: one.asked(lambda store: self.promises.renew(store.root, own))):
                yield
        finally:
            self.release(job)

    def reserve(self, job: str, one: Attachment, size: int) -> None:
        """Promise room of a store to a job, for as long as promises last.  Raises as `reserved` does."""
        folder = self.folder / RESERVED
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / job, json.dumps({"uid": one.uid, "bytes": size}).encode())
        own = promise_of(job, size)

        def make(beat: Callable[[], None]) -> None:
            room = partial(self.room_bytes, one, is_anew=True)
            self.promises.make(one.require().root, own, room=room, beat=beat)

        answered(one.path, make)

    def release(self, job: str) -> None:
        """End what was promised to a job; in a store that does not answer it ends by itself."""
        path = self.folder / RESERVED / job
        if one := self.of_uid(_reserved_in(path)):
            with suppress(OSError, BadMark):
                one.asked(lambda store: self.promises.end(store.root, job))
        path.unlink(missing_ok=True)

    def reserved_bytes(self, one: Attachment, *, without: str = "") -> int:
        """Return what hosts are about to put into a store, but for one job.  Raises OSError."""
        return sum(other.bytes for other in self.promises.live(one.store.root, without=without))

    def _read(self) -> list[Attachment]:
        """Read the file; what it said last where it is gone.  Raises StoreAway if it is broken."""
        try:
            self._known = [Attachment(**row) for row in json.loads(self.path.read_text())]
        except OSError as error:
            if self._known is None and not isinstance(error, FileNotFoundError):
                raise
            return self._known or []
        except (ValueError, TypeError) as error:
            raise StoreAway(
                f"{self.path} cannot be read ({error}): restore a copy, or remove it, restart this host "
                "and reattach the stores that were attached from the console (page Storage)"
            ) from None
        return self._known

    def _write(self, rows: Sequence[Attachment]) -> None:
        """Write the file.  Raises StoreAway where it is gone: under an absent mount it would hide itself."""
        if self._known is not None and not self.path.exists():
            raise StoreAway(
                f"{self.path} is gone: is the disk of this host's own folder mounted? "
                "If the file was removed, restart this host"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file(self.path, json.dumps([asdict(row) for row in rows], indent=1).encode())
        self._known = list(rows)


def _place_check(path: str) -> None:
    """Raise NotAttached unless this is an absolute path or a bucket's url."""
    if path.startswith(SCHEME):
        if fault := url_fault(path):
            raise NotAttached(f"{path} is not a store URL: {fault}")
    elif not os.path.isabs(path) or ".." in path.split("/"):
        raise NotAttached(f"{path} is not an absolute path: start it with /")


KEPT_ENTRIES: Final = frozenset({*SECTOR_KINDS, SUMS, PROMISED, "lost+found"})
"""What a folder may have that is to be a new store."""


def attachment_of(store: Store) -> Attachment:
    """Return a store as it is attached; an unmarked folder is marked first.  Raises BadMark, OSError."""
    name = store.name()
    mark = store.mark()
    uid = uid_of_mark(store.root / MARK, mark)
    return Attachment(path=str(store.root), uid=uid[:UID_MAX], name=name[:UID_MAX])


def _reserved_in(file: Path) -> str:
    """Return the identity of the store that a job was promised room in; nothing where none is known."""
    try:
        return str(json.loads(file.read_text())["uid"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
