"""How a signer's gateway is named on its command line, and with which token it is dialled."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from workers.signer.commands import parser_for
from workers.signer.errors import SignerError
from workers.signer.gateway import gateway_url
from workers.signer.run_command import links_for

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


TWO = ("--console", "https://a.example", "--console", "https://b.example")


def links(folder: Path, *words: str) -> list[tuple[str, str, str]]:
    for name in ("one", "two"):
        (folder / name).write_text(f"token-{name}\n")
    found = links_for(cast("Any", None), parser_for("run").parse_args(["--dir", str(folder), *words]))
    return [(link.url, link.token(), link.rule_set) for link in found]


def test_no_gateway_gets_the_token_of_another(tmp_path: Path) -> None:
    tokens = ("--token-file", str(tmp_path / "one"), "--token-file", str(tmp_path / "two"))

    assert links(tmp_path, *TWO, *tokens, "--set", "", "--set", "payments") == [
        ("wss://a.example/rpc/v1", "token-one", ""),
        ("wss://b.example/rpc/v1", "token-two", "payments"),
    ]


def test_gateways_may_share_a_token_and_a_set(tmp_path: Path) -> None:
    found = links(tmp_path, *TWO, "--token-file", str(tmp_path / "one"), "--set", "payments")

    assert [one[1:] for one in found] == [("token-one", "payments")] * 2


@pytest.mark.parametrize("option", ["--token-file", "--set"])
def test_more_values_than_gateways_are_refused(tmp_path: Path, option: str) -> None:
    words = ("--token-file", str(tmp_path / "one"), option, "two", option, "two", option, "two")

    with pytest.raises(SignerError, match=f"pass {option} once, or once for each --console"):
        links(tmp_path, *TWO, *words)


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
