"""Requests to an S3 server by boto3: the client, and errors that are those of a folder, with the remedy.

`Bucket` loads this with its first request (`workers.storage.bucket`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected

from workers.storage.bucket_settings import (
    DEFAULT_REGION,
    KEY_VARIABLE,
    SCHEME,
    SECRET_VARIABLE,
    BucketAway,
    BucketSettings,
)
from workers.storage.files import TruncatedFile

if TYPE_CHECKING:
    from workers.storage.bucket import Bucket

CONNECT_S: Final = 5.0
READ_S: Final = 10.0
"""Silence of the server after which a request is made again."""
COMPLETE_S: Final = 150.0
"""The same for CompleteMultipartUpload, of thousands of parts too; all attempts end within `COPY_S`."""
ATTEMPTS: Final = 3
CONNECTIONS_MAX: Final = 32
REGION_VARIABLES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")


def connect(settings: BucketSettings, credentials: Mapping[str, str], *, is_completing: bool = False) -> Any:
    """Return a client of the server; with `is_completing` one for CompleteMultipartUpload."""
    found = next((os.environ[name] for name in REGION_VARIABLES if os.environ.get(name)), DEFAULT_REGION)
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=COMPLETE_S if is_completing else READ_S,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=CONNECTIONS_MAX,
        signature_version="s3v4",
        s3={"addressing_style": "path" if settings.endpoint else "auto"},
        # Each part has its own sum; other servers than AWS' refuse those that boto3 adds by itself.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session(region_name=settings.region or found, **credentials).client(
        "s3", endpoint_url=settings.endpoint or None, config=config
    )


@contextmanager
def refusals(bucket: Bucket, key: str) -> Iterator[None]:
    """Turn what boto3 raises in requests about `key` into what a folder would raise, or BucketAway."""
    try:
        yield
    except ClientError as error:
        raise _refused(bucket, error.response, key) from None
    except (HTTPClientError, NotConnected) as error:
        raise _silent(bucket, error) from None
    except (BotoCoreError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        say = f"requests to {SCHEME}{bucket.name} fail ({text}): check its URL and its endpoint"
        raise BucketAway(say) from None


def _silent(bucket: Bucket, error: Exception) -> BucketAway:
    return BucketAway(
        f"{bucket.server} does not answer for {SCHEME}{bucket.name} ({type(error).__name__}): check that the "
        "server runs and the endpoint is right"
    )


def _refused(bucket: Bucket, response: dict[str, Any], key: str) -> OSError:
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    place = f"{SCHEME}{bucket.name}/{key}"
    source = bucket.key_place
    remedies = {
        "NoSuchBucket": f"check the store's URL and its endpoint, or create the bucket at {bucket.server}",
        "InvalidAccessKeyId": f"the access key is unknown: fix {KEY_VARIABLE.lower()} in {source}",
        "SignatureDoesNotMatch": f"the secret is wrong: fix {SECRET_VARIABLE.lower()} in {source}",
        "ExpiredToken": f"put a new access key into {source}",
        "RequestTimeTooSkewed": "correct this host's clock",
        "PermanentRedirect": "set the store's region key to the bucket's region",
        "AuthorizationHeaderMalformed": "set the store's region key to the bucket's region",
    }
    if code in remedies:
        return BucketAway(f"{SCHEME}{bucket.name}: {bucket.server} answers {code}: {remedies[code]}")
    if code in ("NoSuchKey", "NotFound", "404", "NoSuchUpload"):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), place)
    if code in ("InvalidRange", "416"):
        return TruncatedFile(f"{place} is shorter than the requested range")
    if code in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
        return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place)
    if code == "QuotaExceeded" or status == 507:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)
    if status == 403:
        text = f"{bucket.server} denies access ({code}): allow the key to list, read, write and delete there"
        return PermissionError(errno.EACCES, text, place)
    text = str(response.get("Error", {}).get("Message", ""))[:150]
    return BucketAway(f"{place}: {bucket.server} answers {code or status} {text}: see the server's log")
