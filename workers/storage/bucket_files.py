"""What a store in a bucket does another way than one in a folder: each act by the type of its path.

A file is put there in parts, each with its sum; after a kill those that are there are kept.  Until the upload
is completed the server shows nothing of it, and what had the name before stays.
"""

from __future__ import annotations

import errno
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5, sha256
from math import inf
from pathlib import Path
from typing import Any, Final

from poolsite.wire.stores import UNBOUNDED_BYTES
from workers.storage.bucket import bucket_know
from workers.storage.bucket_path import BucketPath
from workers.storage.bucket_settings import SCHEME, BucketAway, BucketSettings
from workers.storage.checksums import READ_BYTES, copy_check, disk_parts, part_ignore
from workers.storage.files import (
    DamagedFile,
    Space,
    TruncatedFile,
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

SINGLE_BYTES: Final = 8 << 20
"""What is not larger is put by one request."""
PART_BYTES: Final = 16 << 20
PARTS_MAX: Final = 10_000
AT_ONCE: Final = 4
"""Parts that are on their way: they bound the memory as well."""

LEFT_S: Final = 86_400.0
"""An upload that was begun so long ago and is not complete is one that nobody goes on with."""

Json = dict[str, Any]


def part_bytes(size: int) -> int:
    """Return the size of an upload's parts: S3 takes 10,000 of them."""
    return max(PART_BYTES, -(-size // PARTS_MAX))


def upload(
    source: Path,
    target: BucketPath,
    *,
    size_bytes: int,
    digest: str | None = None,
    beat: Callable[[], None] | None = None,
) -> None:
    """Put a file into a bucket, extended with zeros to `size_bytes`; `beat` is called as it goes on.

    Raises TruncatedFile if it is longer, DamagedFile if its SHA-256 is not `digest`, BucketAway.
    """
    size = source.stat().st_size
    if size > size_bytes:
        raise TruncatedFile(f"{source} has {size} bytes, more than {size_bytes}")
    seen = sha256()
    parts = _parts(source, size_bytes, part_bytes(size_bytes) if size_bytes > SINGLE_BYTES else SINGLE_BYTES)

    def checked(part: bytes, done: int) -> bytes:
        """Sum up what is read; the file's own end is checked before its last part leaves."""
        content = part[: max(size - done, 0)]
        seen.update(content)
        if done + len(part) >= size_bytes and digest not in (None, seen.hexdigest()):
            raise DamagedFile(f"{source} is damaged: its content differs from what was written")
        return part

    if size_bytes <= SINGLE_BYTES:
        joined = b"".join(checked(part, 0) for part in parts)
        with target.bucket.requests(target.key) as client:
            client.put_object(Bucket=target.bucket.name, Key=target.key, Body=joined, **_md5_of(joined))
    else:
        _multipart(target, parts, checked, beat=beat)
    if target.file_facts().st_size != size_bytes:
        raise DamagedFile(f"{target} does not match what was written: check the server")


def uploads_of(target: BucketPath) -> Iterator[tuple[str, str]]:
    """Return keys and names of uploads that were begun below a path and not completed."""
    return ((key, name) for key, name, _ in _uploads(target))


def _uploads(target: BucketPath) -> Iterator[tuple[str, str, datetime]]:
    args: Json = {"Bucket": target.bucket.name, "Prefix": target.key}
    while True:
        with target.bucket.requests(target.key) as client:
            response = client.list_multipart_uploads(**args)
        for one in sorted(response.get("Uploads", ()), key=lambda one: one["Initiated"], reverse=True):
            yield one["Key"], one["UploadId"], one["Initiated"]
        if not response.get("IsTruncated"):
            return
        args |= {"KeyMarker": response["NextKeyMarker"], "UploadIdMarker": response["NextUploadIdMarker"]}


def unfinished_uploads(root: BucketPath) -> Iterator[tuple[str, int]]:
    """Return key and bytes of each upload below a path that was begun more than a day ago."""
    place = {"Bucket": root.bucket.name}
    for key, name, started in _uploads(root):
        if time.time() - started.timestamp() > LEFT_S:
            with root.bucket.requests(key) as client:
                there = _parts_there(client, {**place, "Key": key}, name)
            yield key, sum(size for size, _ in there.values())


def upload_abort(target: BucketPath, key: str, name: str) -> None:
    """Remove the parts of an upload."""
    with target.bucket.requests(key) as client:
        client.abort_multipart_upload(Bucket=target.bucket.name, Key=key, UploadId=name)


def _multipart(
    target: BucketPath,
    parts: Iterator[bytes],
    checked: Callable[[bytes, int], bytes],
    *,
    beat: Callable[[], None] | None,
) -> None:
    place = {"Bucket": target.bucket.name, "Key": target.key}
    with target.bucket.requests(target.key) as client:
        started = [name for key, name in uploads_of(target) if key == target.key]
        name = started[0] if started else client.create_multipart_upload(**place)["UploadId"]
        there = _parts_there(client, place, name) if started else {}
        done: dict[int, str] = {}
        waiting: list[tuple[int, Future[str]]] = []

        def put(number: int, part: bytes) -> str:
            response = client.upload_part(
                **place, UploadId=name, PartNumber=number, Body=part, **_md5_of(part)
            )
            return str(response["ETag"])

        def settle(most: int) -> None:
            while len(waiting) > most:
                number, future = waiting.pop(0)
                done[number] = future.result()
                if beat is not None:
                    beat()

        at = 0
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload") as threads:
            try:
                for number, raw in enumerate(parts, start=1):
                    part = checked(raw, at)
                    at += len(part)
                    if there.get(number) == (len(part), md5(part, usedforsecurity=False).hexdigest()):
                        done[number] = f'"{there[number][1]}"'
                        if beat is not None:
                            beat()
                        continue
                    settle(AT_ONCE - 1)
                    waiting.append((number, threads.submit(put, number, part)))
                settle(0)
            except DamagedFile:
                threads.shutdown(cancel_futures=True)
                upload_abort(target, target.key, name)
                raise
        _complete(target, name, [tag for _, tag in sorted(done.items())])
        for old in started[1:]:
            upload_abort(target, target.key, old)


def _complete(target: BucketPath, name: str, tags: list[str]) -> None:
    """Complete an upload of these parts.  Raises BucketAway."""
    place = {"Bucket": target.bucket.name, "Key": target.key}
    listed = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, start=1)]
    try:
        with target.bucket.requests(target.key, is_completing=True) as client:
            client.complete_multipart_upload(**place, UploadId=name, MultipartUpload={"Parts": listed})
    except FileNotFoundError:
        # Of a request whose answer was lost boto3 makes another, which finds the upload done with.
        if _tag_there(target) != _multipart_etag(tags):
            raise BucketAway(f"{target}: {target.bucket.server} no longer has the upload") from None


def _tag_there(target: BucketPath) -> str | None:
    try:
        with target.bucket.requests(target.key) as client:
            return str(client.head_object(Bucket=target.bucket.name, Key=target.key)["ETag"]).strip('"')
    except FileNotFoundError:
        return None


def _multipart_etag(tags: list[str]) -> str:
    """Return the ETag of an object uploaded in parts with these; empty if they are no MD5 sums."""
    try:
        sums = b"".join(bytes.fromhex(tag.strip('"')) for tag in tags)
    except ValueError:
        return ""
    return f"{md5(sums, usedforsecurity=False).hexdigest()}-{len(tags)}"


def _parts_there(client: Any, place: Json, name: str) -> dict[int, tuple[int, str]]:
    """Return size and MD5 of the parts that an upload has already, by number."""
    found: dict[int, tuple[int, str]] = {}
    args = {**place, "UploadId": name}
    while True:
        response = client.list_parts(**args)
        for one in response.get("Parts", ()):
            found[one["PartNumber"]] = one["Size"], str(one["ETag"]).strip('"')
        if not response.get("IsTruncated"):
            return found
        args["PartNumberMarker"] = response["NextPartNumberMarker"]


def _parts(source: Path, size_bytes: int, count: int) -> Iterator[bytes]:
    """Read a file in parts, with zeros behind its end."""
    left = size_bytes
    with source.open("rb") as file:
        while left > 0:
            wanted = min(count, left)
            yield file.read(wanted).ljust(wanted, b"\0")
            left -= wanted


def _md5_of(part: bytes) -> Json:
    """Return the sum by which the server refuses what changed on its way."""
    return {"ContentMD5": b64encode(md5(part, usedforsecurity=False).digest()).decode()}


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
