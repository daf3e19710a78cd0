"""The worker's line to the console: what it costs to open one."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from workers.console.client import Console, tls_context

if TYPE_CHECKING:
    import pytest


def test_the_lines_of_a_process_read_the_authorities_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    real = ssl.create_default_context

    def counted(*args: Any, **more: Any) -> ssl.SSLContext:
        read.append(args)
        return real(*args, **more)

    tls_context.cache_clear()
    monkeypatch.setattr(ssl, "create_default_context", counted)
    for line in (Console("https://pool.example", "one"), Console("https://pool.example", "two")):
        line.close()

    assert len(read) == 1
    assert tls_context().verify_mode is ssl.CERT_REQUIRED
