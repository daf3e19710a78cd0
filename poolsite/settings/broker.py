"""Translate REDIS_URL for Celery: kombu knows fewer options of a URL than redis-py, and trusts more."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from redis.connection import SSLConnection, parse_url


def broker_from_redis_url(url: str) -> tuple[str, dict[str, Any] | bool]:
    """Return the broker's URL and its TLS options (False without TLS), both as redis-py reads the URL.

    Left alone, kombu accepts any certificate of a `rediss://` without options, and fails at an option that it
    does not know.  The error does not repeat the URL, as it may have a password.
    """
    try:
        found: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        raise ImproperlyConfigured(
            "REDIS_URL cannot be read: use rediss://user:password@host:6379/0, with / : @ ? # % of a "
            "password as %2F %3A %40 %3F %23 %25"
        ) from None
    words = [quote(str(found.get(name) or ""), safe="") for name in ("username", "password")]
    login = f"{words[0]}:{words[1]}@" if any(words) else ""
    number = found.get("db", 0)
    if "path" in found:
        return f"redis+socket://{login}{found['path']}{f'?virtual_host={number}' if number else ''}", False
    is_tls = found.get("connection_class") is SSLConnection
    server = urlsplit(url).netloc.rpartition("@")[2]
    options = {name: value for name, value in found.items() if name.startswith("ssl_")}
    return (
        f"{'rediss' if is_tls else 'redis'}://{login}{server}/{number}",
        {"ssl_cert_reqs": "required", **options} if is_tls else False,
    )
