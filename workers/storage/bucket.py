"""Connection to an S3 bucket in which sectors are stored; its errors are those of a folder, with the remedy.

A store in a bucket is named `s3://bucket/prefix`.  Its access key stands in the environment of the worker,
or in a file that its user alone can read, never in the worker's own file and never in the console.
"""

from __future__ import annotations

import errno
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from workers.storage.bucket_settings import (
    DEFAULT_REGION,
    KEY_VARIABLE,
    SCHEME,
    SECRET_VARIABLE,
    BucketAway,
    BucketSettings,
    credentials_of,
)
from workers.storage.files import TruncatedFile

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_S: Final = 5.0
READ_S: Final = 10.0
"""Silence of the server after which a request is made again."""
ATTEMPTS: Final = 3
CONNECTIONS_MAX: Final = 32


class Bucket:
    """One bucket of a server; its client is made at the first request, and anew once the key changes."""

    def __init__(self, name: str, settings: BucketSettings) -> None:
        self.name, self.settings = name, settings
        self._lock = threading.Lock()
        self._client: Any = None
        self._credentials: tuple[dict[str, str], str] | None = None

    @property
    def server(self) -> str:
        """Return the server's name for sentences."""
        return self.settings.endpoint or "AWS S3"

    def _connected(self) -> Any:
        """Return the client.  Raises BadCredentials."""
        credentials = credentials_of(self.settings)
        with self._lock:
            if self._client is None or self._credentials != credentials:
                self._client, self._credentials = self._connect(credentials[0]), credentials
            return self._client

    def _connect(self, credentials: dict[str, str]) -> Any:
        import boto3  # 31 MB of descriptions lie behind it: only who has a bucket loads it
        from botocore.config import Config  # comes with it

        names = ("AWS_REGION", "AWS_DEFAULT_REGION")
        told = next((os.environ[name] for name in names if os.environ.get(name)), DEFAULT_REGION)
        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            max_pool_connections=CONNECTIONS_MAX,
            signature_version="s3v4",
            s3={"addressing_style": "path" if self.settings.endpoint else "auto"},
            # Each part has its own sum; other servers than AWS' refuse those that boto3 adds by itself.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return boto3.session.Session(region_name=self.settings.region or told, **credentials).client(
            "s3", endpoint_url=self.settings.endpoint or None, config=config
        )

    @contextmanager
    def asked(self, key: str = "") -> Iterator[Any]:
        """Give the client for requests about `key`.

        Raises FileNotFoundError, FileExistsError, PermissionError, BucketAway.
        """
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # as boto3
        from botocore.exceptions import ConnectionError as NotConnected  # as boto3

        try:
            yield self._connected()
        except ClientError as error:
            raise self._refused(error.response, key) from None
        except (HTTPClientError, NotConnected) as error:
            raise self._silent(error) from None
        except (BotoCoreError, ValueError) as error:
            words = " ".join(str(error).split())[:200]
            say = f"requests to {SCHEME}{self.name} fail ({words}): check its URL and its endpoint"
            raise BucketAway(say) from None

    def _silent(self, error: Exception) -> BucketAway:
        return BucketAway(
            f"{self.server} does not answer for {SCHEME}{self.name} ({type(error).__name__}): check that the "
            "server runs and the endpoint is right"
        )

    def _refused(self, response: dict[str, Any], key: str) -> OSError:
        code = str(response.get("Error", {}).get("Code", ""))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        place = f"{SCHEME}{self.name}/{key}"
        source = self._credentials[1] if self._credentials else "the worker's environment"
        remedies = {
            "NoSuchBucket": f"check the store's URL and its endpoint, or create the bucket at {self.server}",
            "InvalidAccessKeyId": f"the access key is unknown: fix {KEY_VARIABLE.lower()} in {source}",
            "SignatureDoesNotMatch": f"the secret is wrong: fix {SECRET_VARIABLE.lower()} in {source}",
            "ExpiredToken": f"put a new access key into {source}",
            "RequestTimeTooSkewed": "correct this host's clock",
            "PermanentRedirect": "set the store's region key to the bucket's region",
            "AuthorizationHeaderMalformed": "set the store's region key to the bucket's region",
        }
        if code in remedies:
            return BucketAway(f"{SCHEME}{self.name}: {self.server} answers {code}: {remedies[code]}")
        if code in ("NoSuchKey", "NotFound", "404", "NoSuchUpload"):
            return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place)
        if code in ("InvalidRange", "416"):
            return TruncatedFile(f"{place} is shorter than the requested range")
        if code in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
            return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place)
        if code == "QuotaExceeded" or status == 507:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)
        if status == 403:
            words = (
                f"{self.server} denies access ({code}): allow the key to list, read, write and delete there"
            )
            return PermissionError(errno.EACCES, words, place)
        words = str(response.get("Error", {}).get("Message", ""))[:150]
        return BucketAway(f"{place}: {self.server} answers {code or status} {words}: see the server's log")


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
