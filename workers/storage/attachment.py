"""A store where a host has it attached: its path, its identity, and whether it is still that store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from poolsite.wire.stores import UID_MAX
from workers.storage.answers import answered
from workers.storage.bucket_files import store_path
from workers.storage.bucket_settings import SCHEME, BucketSettings
from workers.storage.store import MARK, Store, StoreAway
from workers.storage.store_mark import BadMark, uid_of_mark

T = TypeVar("T")


class NotAttached(Exception):
    """A store cannot be attached or detached; one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class PlaceTexts:
    """What sentences say of a store's place."""

    doubt: str
    is_mounted: str
    back: str
    writing: str


FOLDER_TEXTS: Final = PlaceTexts(
    "is its disk mounted and healthy?",
    "is its disk mounted?",
    "mount the disk of {name} there",
    "check its mount and its owner",
)
BUCKET_TEXTS: Final = PlaceTexts(
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
    def texts(self) -> PlaceTexts:
        """Return what sentences say of its place."""
        return BUCKET_TEXTS if self.is_bucket else FOLDER_TEXTS

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
            f"{self.path} is no longer the store {self.name}: {self.texts.is_mounted} "
            "If you replaced it on purpose, detach the old one and attach the new one (page Storage)"
        )

    def read(self, work: Callable[[Store], T]) -> T:
        """Return what `work` finds in the store that was attached, if its disk answers in time.

        Raises StoreAway, BadMark, OSError.
        """
        return answered(self.path, lambda _: work(self.require()))

    @property
    def is_here(self) -> bool:
        """Return whether the store that was attached can be read."""
        try:
            return self.read(lambda _: True)
        except (OSError, BadMark):
            return False


def attachment_of(store: Store) -> Attachment:
    """Return a store as it is attached; an unmarked folder is marked first.  Raises BadMark, OSError."""
    name = store.name()
    mark = store.mark()
    uid = uid_of_mark(store.root / MARK, mark)
    return Attachment(path=str(store.root), uid=uid[:UID_MAX], name=name[:UID_MAX])
