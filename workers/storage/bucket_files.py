"""What a store in a bucket does another way than one in a folder: each act by the type of its path."""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.wire.stores import UNBOUNDED_BYTES
from workers.storage.bucket import bucket_know
from workers.storage.bucket_path import BucketPath
from workers.storage.bucket_settings import SCHEME, BucketSettings
from workers.storage.bucket_upload import unfinished_uploads, upload, upload_abort, uploads_of
from workers.storage.checksums import READ_BYTES, copy_check, disk_parts, part_ignore
from workers.storage.files import (
    Space,
    file_put,
    names_in,
    space_of,
    unfinished_remove,
    unfinished_sizes,
    write_fault,
    write_file,
    write_new,
)
from workers.storage.store import NAME, path_remove
from workers.storage.used import MEASURE_S, SECTOR_KINDS, listed_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

CHECK_AGAIN_S: Final = 60.0
"""Requests cost money: what a look at a bucket finds by several of them is kept for so long."""
LIST_SHARE: Final = 100
"""A bucket is listed again, a request for each thousand objects, after so many times what that took."""


@dataclass(slots=True)
class Listing:
    """What all objects of a store take."""

    size_bytes: int = 0
    ended_at: float = -inf
    """By the monotonic clock."""
    took_s: float = 0.0
    is_running: bool = False
    """Whether it is being listed beside the looks at it."""


_lock: Final = threading.Lock()
_written: dict[str, float] = {}
"""By store: when it could be written last."""
_listings: dict[str, Listing] = {}
"""By store: its last one."""


def store_path(text: str | Path, settings: BucketSettings | None = None) -> Path:
    """Return the path of a folder, or of a bucket by its url."""
    if not str(text).startswith(SCHEME):
        return Path(text)
    if settings is not None and settings != BucketSettings():
        bucket_know(str(text), settings)
    return BucketPath(text)


@write_file.register(BucketPath)
def _(path: BucketPath, content: bytes) -> None:
    path.write_bytes(content)


@write_new.register(BucketPath)
def _(path: BucketPath, content: bytes) -> None:
    with path.bucket.requests(path.key) as client:
        client.put_object(Bucket=path.bucket.name, Key=path.key, Body=content, IfNoneMatch="*")


@file_put.register(BucketPath)
def _(
    target: BucketPath,
    source: Path,
    *,
    size_bytes: int,
    digest: str | None,
    beat: Callable[[], None] | None,
) -> None:
    upload(source, target, size_bytes=size_bytes, digest=digest, beat=beat)


@disk_parts.register(BucketPath)
def _(path: BucketPath) -> Generator[bytes, None, None]:
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            yield part


@copy_check.register(BucketPath)
def _(copy: BucketPath, digest: str, *, on_part: Callable[[], None] = part_ignore) -> None:
    """Read nothing back: the server compared each part with its MD5 as it was put there."""


@names_in.register(BucketPath)
def _(folder: BucketPath) -> list[str]:
    return [path.name for path in folder.iterdir()]


@space_of.register(BucketPath)
def _(_folder: BucketPath) -> Space:
    return Space(UNBOUNDED_BYTES, UNBOUNDED_BYTES)


@listed_bytes.register(BucketPath)
def _(root: BucketPath, *, is_anew: bool) -> int | None:
    return _listed(root) if is_anew else _listed_lately(root)


def _listed(root: BucketPath) -> int:
    """List all objects of a store; return their bytes."""
    started = time.monotonic()
    files = (file for kind in SECTOR_KINDS for file in (root / kind).rglob("*"))
    size_bytes = sum(file.stat().st_size for file in files)
    now = time.monotonic()
    with _lock:
        known = _listings.setdefault(str(root), Listing())
        known.size_bytes, known.ended_at, known.took_s = size_bytes, now, now - started
    return size_bytes


def _listed_lately(root: BucketPath) -> int:
    """Return the bytes of a store as listed last; list it beside the looks at it when that is long ago.

    A hundred thousand sectors are listed for minutes: a look waits for no longer than `MEASURE_S`.
    """

    def listing() -> None:
        try:
            _listed(root)
        except OSError:
            pass  # a look says that it is away
        finally:
            with _lock:
                known.is_running = False

    with _lock:
        known = _listings.setdefault(str(root), Listing())
        due_at = known.ended_at + max(CHECK_AGAIN_S, LIST_SHARE * known.took_s)
        is_due = not known.is_running and time.monotonic() >= due_at
        known.is_running |= is_due
    if is_due:
        thread = threading.Thread(target=listing, name=f"list {root}"[:60], daemon=True)
        thread.start()
        thread.join(MEASURE_S)
    with _lock:
        return known.size_bytes


@write_fault.register(BucketPath)
def _(root: BucketPath) -> int:
    with _lock:
        at = _written.get(str(root))
    if at is not None and time.monotonic() - at < CHECK_AGAIN_S:
        return 0
    probe = root / f".write-{threading.get_ident()}"
    try:
        probe.write_bytes(b"poolsite")
        probe.unlink(missing_ok=True)
    except PermissionError as error:
        return error.errno or errno.EACCES
    with _lock:
        _written[str(root)] = time.monotonic()
    return 0


@unfinished_remove.register(BucketPath)
def _(path: BucketPath) -> None:
    for key, name in list(uploads_of(path)):
        if key == path.key:
            upload_abort(path, key, name)


@unfinished_sizes.register(BucketPath)
def _(root: BucketPath) -> dict[str, int]:
    found: dict[str, int] = {}
    for kind in SECTOR_KINDS:
        below = root / kind
        for key, size in unfinished_uploads(below):
            name = key.removeprefix(f"{below.key}/").partition("/")[0]
            if key.startswith(f"{below.key}/") and NAME.fullmatch(name):
                found[name] = found.get(name, 0) + size
    return found


@path_remove.register(BucketPath)
def _(path: BucketPath) -> None:
    # One by one: some servers refuse DeleteObjects without a Content-MD5, which boto3 does not send.
    for one in list(path.rglob("*")):
        one.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    for key, name in list(uploads_of(path)):
        if key == path.key or key.startswith(f"{path.key}/"):
            upload_abort(path, key, name)
