"""The stores that a worker has attached: which they are, and what the console orders for them.

`stores.json` in the worker's folder says which store was attached by which path; the identity of a store is
the `ID` in its own `sectorstore.json`, so that a bare folder under an absent mount is not taken for it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from workers.storage.attachment import Attachment, NotAttached, attachment_of
from workers.storage.bucket_files import store_path
from workers.storage.bucket_settings import SCHEME, BucketSettings, url_fault
from workers.storage.files import DamagedFile, names_in, write_file
from workers.storage.links import apart_check
from workers.storage.promises import PROMISED
from workers.storage.store import MARK, Store, StoreAway
from workers.storage.store_mark import BadMark, mark_change
from workers.storage.sums import SUMS
from workers.storage.used import SECTOR_KINDS

ATTACHED: Final = "stores.json"
"""In a worker's folder: the stores that are attached."""


class AttachedStores:
    """What a worker has attached; its processes share what the file says."""

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
        self.sealing_roots: Sequence[Path] = ()
        """Folders that this host seals in: what is cleared there must not be what a store has."""
        self.path = folder / ATTACHED
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
        stored = [one for one in known.values() if one.by_console or one.path in roots]
        for root in roots:
            settings = self.buckets.get(root, BucketSettings())
            store = Store(store_path(root, settings))
            try:
                if root in self.read_only and not store.is_there:
                    continue  # nothing is written there, not even a mark
                if root not in known:
                    stored.append(replace(attachment_of(store), **asdict(settings)))
            except StoreAway as error:
                raise BadMark(str(error)) from None
            except OSError as error:
                raise BadMark(f"{root} cannot be used as a store: {error.strerror}: check the path") from None
        # Those of the console stay: it could not detach them from a host that does not start.
        for one in stored:
            if not (one.by_console or one.is_detached or one.is_bucket) and one.is_here:
                with suppress(OSError):  # it went away since: it is checked before anything is removed
                    one.read(lambda store: self._sealing_check(store.root))
        configured = {path: asdict(settings) for path, settings in self.buckets.items()}
        self._write([replace(one, **configured.get(one.path, {})) for one in stored])

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

    def apart_check(self, root: Path, name: str) -> None:
        """Raise DamagedFile if a store that is there shares a folder or sector with a sealing folder."""
        for one in self.here():
            apart_check(root, one.store.root, name)

    def _sealing_check(self, root: Path) -> None:
        """Raise BadMark if this host seals in a store's folder, or in one that a link makes the same."""
        for sealing in self.sealing_roots:
            try:
                apart_check(sealing, root, "")
            except DamagedFile as error:
                raise BadMark(
                    f"{error}; this host seals in {sealing}: give the store another folder"
                ) from None

    def attach(self, path: str, *, init: bool, settings: BucketSettings | None = None) -> Attachment:
        """Attach a folder, or a bucket by its url.  Raises NotAttached, BadMark, OSError."""
        settings = settings or BucketSettings()
        _place_check(path)
        root = store_path(path, settings)
        if not root.is_dir() and not path.startswith(SCHEME):  # a bucket's prefix need not be made
            raise NotAttached(f"{path} is not a folder on this host: create it or mount its disk first")
        if root.resolve().is_relative_to(self.folder.resolve()):
            raise NotAttached(f"{path} is in this worker's own folder: choose a path outside it")
        self._sealing_check(root)
        if not (root / MARK).exists():
            if not init:
                raise NotAttached(f"{path} has no {MARK}: attach it as a new store to create one")
            if strange := [name for name in names_in(root) if name not in OWN_ENTRIES]:
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


OWN_ENTRIES: Final = frozenset({*SECTOR_KINDS, SUMS, PROMISED, "lost+found"})
"""What a folder may have that is to be a new store."""
