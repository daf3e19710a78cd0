"""Paths of a store that lies in an S3 bucket: what the stores' code asks of a folder's paths, by requests.

An object appears whole when its upload ends, so there are no temporary names.  A folder is what objects have
in front of a slash; it need not be made, and goes with its last object.  What asks for a path of this
machine gets an error instead of a file that would be taken for the store's.
"""

from __future__ import annotations

import io
import os
import stat
import time
from collections.abc import Generator
from fnmatch import fnmatchcase
from pathlib import PosixPath
from typing import Any, Final, NoReturn

import structlog

from workers.storage.bucket import Bucket, bucket_of
from workers.storage.bucket_settings import SCHEME

log = structlog.get_logger(__name__)

READ_BYTES: Final = 1 << 22
BLOCK: Final = 512
FOLDER_TIME_S: Final = 60
"""A folder of a bucket has no time of its own: it counts as changed once in so many seconds."""
READS_AGAIN: Final = 3
"""So often a read that broke off goes on where it was."""


def is_below(key: str, prefix: str) -> bool:
    """Return whether a listed key is one of those asked for, and names no other place as a path.

    Files are written under the names that a server lists: `..` in one would leave the folder that is meant.
    """
    if key.startswith(prefix) and not {"", ".", ".."}.intersection(key.split("/")):
        return True
    log.warning("bucket_key_skipped", key=key, prefix=prefix)
    return False


class BucketPath(PosixPath):
    """A key of a bucket, or what keys begin with."""

    _listed: os.stat_result | None = None
    """Of what a listing gave: it told the size."""

    def __str__(self) -> str:
        text = super().__str__()
        is_shortened = text.startswith("s3:/") and not text.startswith(SCHEME)
        return f"{SCHEME}{text[4:]}" if is_shortened else text

    def __fspath__(self) -> str:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise io.UnsupportedOperation(f"{self} is in a bucket, not a file on this machine")

    @property
    def bucket(self) -> Bucket:
        """Return the bucket."""
        return bucket_of(self.parts[1], self.key)

    @property
    def key(self) -> str:
        """Return the key of the object."""
        return "/".join(self.parts[2:])

    def _child(self, key: str, listed: os.stat_result | None = None) -> BucketPath:
        found = BucketPath(f"{SCHEME}{self.parts[1]}/{key}")
        found._listed = listed
        return found

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002  # as Path has it
        """Return size and kind.  Raises FileNotFoundError, PermissionError, BucketAway."""
        if self._listed is not None:
            return self._listed
        try:
            return self.file_facts()
        except FileNotFoundError:
            if self.is_dir():
                return facts_of(0, time.time() // FOLDER_TIME_S * FOLDER_TIME_S, kind=stat.S_IFDIR)
            raise

    def lstat(self) -> os.stat_result:
        """Return size and kind: a bucket has no links."""
        return self.stat()

    def file_facts(self) -> os.stat_result:
        """Return what the server has of an object.  Raises FileNotFoundError, PermissionError, BucketAway."""
        if not self.key:
            raise FileNotFoundError(f"{self} is a bucket")
        with self.bucket.requests(self.key) as client:
            head = client.head_object(Bucket=self.bucket.name, Key=self.key)
        return facts_of(head["ContentLength"], head["LastModified"].timestamp())

    def is_file(self) -> bool:
        """Return whether an object has this key."""
        try:
            facts = self._listed or self.file_facts()
        except FileNotFoundError:
            return False
        return stat.S_ISREG(facts.st_mode)

    def is_dir(self) -> bool:
        """Return whether objects lie below; a bucket that answers is always there."""
        if self._listed is not None:
            return stat.S_ISDIR(self._listed.st_mode)
        with self.bucket.requests(self.key) as client:
            response = client.list_objects_v2(Bucket=self.bucket.name, Prefix=self._below, MaxKeys=1)
        return bool(response.get("KeyCount")) or len(self.parts) <= 2

    def is_symlink(self) -> bool:
        """Return that a bucket has no links."""
        return False

    def samefile(self, other_path: str | os.PathLike[str]) -> bool:
        """Return whether both are one object."""
        return isinstance(other_path, BucketPath) and str(self) == str(other_path)

    def resolve(self, strict: bool = False) -> BucketPath:  # noqa: ARG002  # as Path has it
        """Return the path itself."""
        return self

    @property
    def _below(self) -> str:
        return f"{self.key}/" if self.key else ""

    def iterdir(self) -> Generator[BucketPath, None, None]:
        """List objects and folders; none where nothing is.  Raises PermissionError, BucketAway."""
        yield from self._listing(delimiter="/")

    def rglob(self, pattern: str) -> Generator[BucketPath, None, None]:
        """List all objects below, of which the name is like `pattern`."""
        for path in self._listing():
            if fnmatchcase(path.name, pattern):
                yield path

    def glob(self, pattern: str) -> Generator[BucketPath, None, None]:
        """List objects and folders of which the name is like `pattern`; it has no slash."""
        known = min((pattern.find(sign) for sign in "*?[" if sign in pattern), default=len(pattern))
        for path in self._listing(pattern[:known], delimiter="/"):
            if fnmatchcase(path.name, pattern):
                yield path

    def _listing(self, begins: str = "", *, delimiter: str = "") -> Generator[BucketPath, None, None]:
        args: dict[str, Any] = {"Bucket": self.bucket.name, "Prefix": self._below + begins}
        if delimiter:
            args["Delimiter"] = delimiter
        while True:
            with self.bucket.requests(self.key) as client:
                response = client.list_objects_v2(**args)
            for one in response.get("CommonPrefixes", ()):
                folder = facts_of(0, time.time() // FOLDER_TIME_S * FOLDER_TIME_S, kind=stat.S_IFDIR)
                key = one["Prefix"].removesuffix("/")
                if is_below(key, args["Prefix"]):
                    yield self._child(key, folder)
            for one in response.get("Contents", ()):
                key = one["Key"]
                if not key.endswith("/") and is_below(key, args["Prefix"]):  # "/": some clients' folders
                    yield self._child(key, facts_of(one["Size"], one["LastModified"].timestamp()))
            if not response.get("IsTruncated"):
                return
            args["ContinuationToken"] = response["NextContinuationToken"]

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        """Read an object, part by part.  Raises FileNotFoundError, PermissionError, BucketAway."""
        if mode not in ("r", "rb"):
            self._refuse()
        binary = io.BufferedReader(_Reader(self), READ_BYTES)
        return binary if mode == "rb" else io.TextIOWrapper(binary, *args[1:], **kwargs)

    def read_bytes(self) -> bytes:
        """Return an object.  Raises FileNotFoundError, PermissionError, BucketAway."""
        with self.bucket.requests(self.key) as client:
            found: bytes = client.get_object(Bucket=self.bucket.name, Key=self.key)["Body"].read()
        return found

    def read_range(self, first: int, count: int) -> tuple[bytes, int]:
        """Return some bytes and the size of the whole object.

        Raises FileNotFoundError, PermissionError, BucketAway, TruncatedFile if it ends before the first.
        """
        with self.bucket.requests(self.key) as client:
            part = f"bytes={first}-{first + count - 1}"
            response = client.get_object(Bucket=self.bucket.name, Key=self.key, Range=part)
            found: bytes = response["Body"].read()
        return found, int(response["ContentRange"].rpartition("/")[2])

    def write_bytes(self, data: Any) -> int:
        """Write a small object; it is there whole or not at all.  Raises PermissionError, BucketAway."""
        with self.bucket.requests(self.key) as client:
            client.put_object(Bucket=self.bucket.name, Key=self.key, Body=bytes(data))
        self._listed = None
        return len(data)

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:  # noqa: ARG002  # as Path has it
        """Write an empty object, or write it anew.  Raises PermissionError, BucketAway."""
        self.write_bytes(b"")

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete an object.  Raises FileNotFoundError, PermissionError, BucketAway."""
        if not missing_ok:
            self.file_facts()
        with self.bucket.requests(self.key) as client:
            client.delete_object(Bucket=self.bucket.name, Key=self.key)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Make nothing: folders of a bucket come with their objects."""

    def rmdir(self) -> None:
        """Remove nothing: folders of a bucket go with their objects."""


def facts_of(size: int, at: float, *, kind: int = stat.S_IFREG) -> os.stat_result:
    """Return what a file system would tell of an object."""
    facts = (kind | 0o600, 0, -1, 1, 0, 0, size, int(at), int(at), int(at))
    blocks = -(-size // BLOCK)
    return os.stat_result(
        facts,
        {"st_blocks": blocks, "st_mtime": at, "st_mtime_ns": int(at * 1e9)},
    )


class _Reader(io.RawIOBase):
    """An object from its begin to its end; a connection that breaks off goes on where it was."""

    def __init__(self, path: BucketPath) -> None:
        self.path, self.at = path, 0
        self.size, self.tag = 0, ""
        self.body: Any = None
        self._begin()

    def readable(self) -> bool:
        """Return that it is for reading."""
        return True

    def _begin(self) -> None:
        args = {"Bucket": self.path.bucket.name, "Key": self.path.key}
        if self.tag:  # what another one wrote meanwhile is another file
            args |= {"Range": f"bytes={self.at}-", "IfMatch": self.tag}
        with self.path.bucket.requests(self.path.key) as client:
            response = client.get_object(**args)
        self.body = response["Body"]
        if not self.tag:
            self.size, self.tag = response["ContentLength"], response["ETag"]

    def readinto(self, buffer: Any) -> int:
        """Fill a part of the buffer.  Raises BucketAway."""
        if self.at >= self.size:
            return 0
        for again in range(READS_AGAIN + 1):
            try:
                with self.path.bucket.requests(self.path.key):
                    if self.body is None:
                        self._begin()
                    part = self.body.read(min(len(buffer), self.size - self.at))
                    if not part:
                        raise OSError(f"reading {self.path} was interrupted after {self.at} bytes")
                break
            except OSError:
                self.body = None
                if again == READS_AGAIN:
                    raise
        buffer[: len(part)] = part
        self.at += len(part)
        return len(part)

    def close(self) -> None:
        """End the connection."""
        if self.body is not None:
            self.body.close()
        super().close()
