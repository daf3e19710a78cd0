"""How a signer's gateway is named on its command line."""

from __future__ import annotations

import pytest

from workers.signer.gateway import gateway_url


@pytest.mark.parametrize(
    ("console", "socket"),
    [
        ("http://localhost:8000", "ws://localhost:8000/rpc/v1"),
        ("https://pool.example/", "wss://pool.example/rpc/v1"),
        ("https://pool.example/rpc/v0", "wss://pool.example/rpc/v0"),
        ("ws://127.0.0.1:45132/rpc/v0", "ws://127.0.0.1:45132/rpc/v0"),
    ],
)
def test_a_console_is_named_by_its_page_or_by_its_socket(console: str, socket: str) -> None:
    assert gateway_url(console) == socket
