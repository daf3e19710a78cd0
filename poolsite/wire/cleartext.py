"""Whether a program's token crosses a network in clear."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_clear(url: str) -> bool:
    """Return whether what goes to this address can be read on the way: no TLS, and another machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "ws") or parts.hostname is None or parts.hostname == "localhost":
        return False
    try:
        return not ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return True
