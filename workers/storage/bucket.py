"""Buckets of S3 servers in which sectors are stored, by the stores' URLs; `bucket_client` makes the requests.

A store in a bucket is named `s3://bucket/prefix`.  Its access key stands in the environment of the worker,
or in a file that its user alone can read, never in the worker's own file and never in the console.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from workers.loading import loaded
from workers.storage.bucket_settings import SCHEME, BucketSettings, credentials_of

CONNECT: Final = "workers.storage.bucket_client:connect"
REFUSALS: Final = "workers.storage.bucket_client:refusals"
"""By name: 31 MB of descriptions lie behind boto3, and only who has a bucket loads them."""


class Bucket:
    """One bucket of a server; its client is made at the first request, and anew once the key changes."""

    def __init__(self, name: str, settings: BucketSettings) -> None:
        self.name, self.settings = name, settings
        self._lock = threading.Lock()
        self._clients: dict[bool, Any] = {}
        """By `is_completing`: that client has a longer read timeout."""
        self._credentials: tuple[dict[str, str], str] | None = None

    @property
    def server(self) -> str:
        """Return the server's name for sentences."""
        return self.settings.endpoint or "AWS S3"

    @property
    def key_place(self) -> str:
        """Return where the access key in use was found, for sentences."""
        return self._credentials[1] if self._credentials else "the worker's environment"

    def _connected(self, *, is_completing: bool) -> Any:
        """Return the client.  Raises BadCredentials."""
        credentials = credentials_of(self.settings)
        with self._lock:
            if self._credentials != credentials:
                self._clients.clear()
                self._credentials = credentials
            if is_completing not in self._clients:
                made = loaded(CONNECT)(self.settings, credentials[0], is_completing=is_completing)
                self._clients[is_completing] = made
            return self._clients[is_completing]

    @contextmanager
    def requests(self, key: str = "", *, is_completing: bool = False) -> Iterator[Any]:
        """Return the client for requests about `key`; `is_completing`: for CompleteMultipartUpload.

        Raises FileNotFoundError, FileExistsError, PermissionError, BucketAway.
        """
        with loaded(REFUSALS)(self, key):
            yield self._connected(is_completing=is_completing)


_buckets: dict[tuple[str, BucketSettings], Bucket] = {}
_settings: dict[str, BucketSettings] = {}
"""By a store's url: how its bucket is reached."""
_lock: Final = threading.Lock()


def bucket_know(url: str, settings: BucketSettings) -> None:
    """Remember how the bucket of a store is reached."""
    _settings[url.rstrip("/")] = settings


def bucket_of(name: str, prefix: str) -> Bucket:
    """Return the bucket of a prefix; one that nobody told of is reached as the environment says."""
    url = f"{SCHEME}{name}/{prefix}".rstrip("/")
    while url not in _settings and len(url) > len(SCHEME) + len(name):
        url = url.rpartition("/")[0]
    settings = _settings.get(url) or BucketSettings(endpoint=os.environ.get("AWS_ENDPOINT_URL", ""))
    with _lock:
        return _buckets.setdefault((name, settings), Bucket(name, settings))
