"""How a bucket is reached: its url, its endpoint, its credentials, and what is wrong with them."""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from workers.storage.store import StoreAway

SCHEME: Final = "s3://"
KEY_VARIABLE: Final = "AWS_ACCESS_KEY_ID"
SECRET_VARIABLE: Final = "AWS_SECRET_ACCESS_KEY"  # noqa: S105  # the name of a variable
SESSION_VARIABLE: Final = "AWS_SESSION_TOKEN"
SECTION: Final = "default"
"""Of the file with the access key, as of `~/.aws/credentials`."""
DEFAULT_REGION: Final = "us-east-1"
"""Servers of one's own take any region."""


class BucketAway(StoreAway):
    """A bucket that cannot be used now: one sentence with the remedy."""


class BadCredentials(BucketAway):
    """An access key that is nowhere, or lies where others can read it: one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """How a bucket is reached."""

    endpoint: str = ""
    """Address of its server; empty: that of AWS."""
    region: str = ""
    credentials: str = ""
    """Path of a file with the access key; empty: the environment has it."""


def url_fault(url: str) -> str:
    """Return what to write instead of a store's url; nothing if it is good."""
    bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
    is_good = url.startswith(SCHEME) and 3 <= len(bucket) <= 63 and bucket.replace("-", "").isascii()
    names = prefix.split("/") if prefix else []
    is_plain = all(one not in ("", ".", "..") and one.isprintable() for one in names)
    if is_good and bucket.replace("-", "").replace(".", "").isalnum() and is_plain:
        return ""
    return 'use a bucket and a prefix such as "s3://sectors/pool1"'


def endpoint_fault(url: str) -> str:
    """Return what to write instead of a server's address; nothing if it is good."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/")
        is_good = is_good and parts.port != 0 and not parts.username
    except ValueError:
        is_good = False
    return "" if is_good else 'use an address such as "https://s3.example.com:9000"'


def credentials_fault(path: Path) -> str:
    """Return what is wrong with a file that has the access key, with the remedy; nothing if it is good."""
    try:
        credentials_read(path)
    except BadCredentials as error:
        return str(error)
    return ""


def credentials_read(path: Path) -> dict[str, str]:
    """Return the access key that a file has, as boto3 takes it.  Raises BadCredentials."""
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise BadCredentials(f"{path} cannot be read ({why}): put the access key there") from None
    if mode & 0o077:
        raise BadCredentials(f"{path} can be read by others: chmod 600 {path}")
    names = ("aws_access_key_id", "aws_secret_access_key")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        line = getattr(error, "lineno", 0)
        where = f", line {line}" if line else ""
        say = f"{path}{where} is not key = value: use [{SECTION}] and {names[0]} = …"
        raise BadCredentials(say) from None
    found = dict(parser.items(SECTION)) if parser.has_section(SECTION) else {}
    for name in names:
        if not found.get(name):
            raise BadCredentials(f"{path} has no {name} under [{SECTION}]: add {name} = …")
    wanted = (*names, "aws_session_token")
    return {name: found[name] for name in wanted if name in found}


def credentials_of(settings: BucketSettings) -> tuple[dict[str, str], str]:
    """Return the access key, and where it stands.  Raises BadCredentials."""
    if settings.credentials:
        return credentials_read(Path(settings.credentials)), settings.credentials
    found = {}
    for name, variable in (("aws_access_key_id", KEY_VARIABLE), ("aws_secret_access_key", SECRET_VARIABLE)):
        if not os.environ.get(variable):
            raise BadCredentials(
                f"{variable} is not set: set {KEY_VARIABLE} and {SECRET_VARIABLE} in the worker's "
                "environment, or set the store's credentials key to a file with mode 600"
            )
        found[name] = os.environ[variable]
    if token := os.environ.get(SESSION_VARIABLE):
        found["aws_session_token"] = token
    return found, "the worker's environment"
