"""How a signer's gateway is named on its command line, and with which token it is dialled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from workers.signer.commands import parser_for
from workers.signer.errors import SignerError
from workers.signer.gateway import gateway_url
from workers.signer.run_command import links_for

if TYPE_CHECKING:
    from pathlib import Path

CONSOLE = "http://localhost:8000"


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


@pytest.mark.parametrize(
    ("console", "token", "said"),
    [
        (CONSOLE, None, "cannot be read: No such file"),
        (CONSOLE, b"\n", "is empty"),
        (CONSOLE, b"secret\nsecret", "does not contain a token"),
        ("http://localhost:84000", b"secret", "http://localhost:84000 is not a gateway address"),
        ("http://[::1:8000", b"secret", "is not a gateway address"),
        ("localhost:8000", b"secret", "is not a gateway address"),
    ],
)
def test_a_start_without_token_or_address_is_refused(
    tmp_path: Path, console: str, token: bytes | None, said: str
) -> None:
    file = tmp_path / "gateway-token"
    if token is not None:
        file.write_bytes(token)
    options = parser_for("run").parse_args(["--console", console, "--token-file", str(file)])

    with pytest.raises(SignerError, match=said) as refused:
        links_for(cast("Any", None), options)
    assert "secret" not in str(refused.value)
