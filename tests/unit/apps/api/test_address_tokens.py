"""Tokens by address: only on ports of old programs, never in place of one that was sent."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.api.address_tokens import AddressTokens
from poolsite.asgi import application

PORT, OLD = 8000, 1789


def token_of(
    app: AddressTokens, address: str, *, port: int = OLD, sent: bytes = b"", page: bytes = b""
) -> bytes | None:
    """Return the token that the application behind is shown."""
    shown: list[Any] = []

    async def behind(scope: dict[str, Any], _receive: Any, _send: Any) -> None:
        shown.extend(scope["headers"])

    app.app = behind
    headers = [(b"host", b"pool"), *([(b"Authorization", sent)] if sent else [])]
    headers += [(page, b"https://example.com")] if page else []
    scope = {"type": "http", "server": ("0.0.0.0", port), "client": (address, 5), "headers": headers}
    asyncio.run(app(scope, None, None))
    found = [value for name, value in shown if name.lower() == b"authorization"]
    assert len(found) < 2
    return found[0] if found else None


@pytest.fixture
def app(tmp_path: Path) -> AddressTokens:
    """One worker of its own, and the rest of its rack."""
    (tmp_path / "one").write_text("token-one\n")
    (tmp_path / "rack").write_text("token-rack")
    words = [
        f"10.0.0.0/24={tmp_path / 'rack'}",
        f"10.0.0.7={tmp_path / 'one'}",
        f"fd00::7={tmp_path / 'one'}",
    ]
    return AddressTokens(lambda *_: asyncio.sleep(0), words, port=PORT)


def test_an_address_has_the_token_of_the_narrowest_network(app: AddressTokens) -> None:
    assert token_of(app, "10.0.0.7") == b"Bearer token-one"
    assert token_of(app, "::ffff:10.0.0.7") == b"Bearer token-one"
    assert token_of(app, "fd00::7") == b"Bearer token-one"
    assert token_of(app, "10.0.0.8") == b"Bearer token-rack"
    assert token_of(app, "10.0.1.7") is None


def test_the_consoles_own_port_gives_none(app: AddressTokens) -> None:
    assert token_of(app, "10.0.0.7", port=PORT) is None


@pytest.mark.parametrize("header", [b"origin", b"Sec-Fetch-Site"])
def test_a_web_page_open_at_an_address_gets_no_token(app: AddressTokens, header: bytes) -> None:
    assert token_of(app, "10.0.0.7", page=header) is None


def test_a_token_that_was_sent_stays(app: AddressTokens) -> None:
    assert token_of(app, "10.0.0.7", sent=b"Bearer mine") == b"Bearer mine"
    assert token_of(app, "10.0.0.7", port=PORT, sent=b"Bearer mine") == b"Bearer mine"


def test_no_header_gives_a_caller_the_token_of_another_address(
    app: AddressTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    async def behind(scope: dict[str, Any], _receive: Any, _send: Any) -> None:
        seen.append(scope)

    served = application.app  # within the spans of requests
    assert isinstance(served, AddressTokens)
    monkeypatch.setattr(served, "tokens", app.tokens)
    monkeypatch.setattr(served.app, "app", behind)
    headers = [(b"x-forwarded-for", b"10.0.0.7"), (b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "scheme": "http", "server": ("127.0.0.1", OLD), "headers": headers}

    asyncio.run(application({**scope, "client": ("127.0.0.1", 5)}, None, None))
    asyncio.run(application({**scope, "client": ("10.9.9.9", 5)}, None, None))

    assert [one["headers"] for one in seen] == [headers, headers]
    # A proxy on this machine is believed for all else, as log-in limits and the audit log; a stranger is not.
    assert [(one["client"][0], one["scheme"]) for one in seen] == [
        ("10.0.0.7", "https"),
        ("10.9.9.9", "http"),
    ]


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    app = AddressTokens(lambda *_: asyncio.sleep(0), [f"10.0.0.7={file}"], port=PORT)
    assert token_of(app, "10.0.0.7") == b"Bearer first"

    file.write_text("second")
    os.utime(file, (1, 1))
    assert token_of(app, "10.0.0.7") == b"Bearer second"

    file.unlink()
    assert token_of(app, "10.0.0.7") is None


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("10.0.0.1/24={file}", "has host bits set"),
        ("worker-1={file}", "does not appear to be an IPv4 or IPv6 network"),
        ("10.0.0.7={file}.none", "No such file or directory"),
        ("10.0.0.7", "it contains no token|Is a directory"),
        ("10.0.0.7={empty}", "it contains no token"),
    ],
)
def test_a_mistake_is_named_at_the_start(tmp_path: Path, word: str, said: str) -> None:
    (tmp_path / "file").write_text("token")
    (tmp_path / "empty").touch()
    words = [word.format(file=tmp_path / "file", empty=tmp_path / "empty")]
    with pytest.raises(ImproperlyConfigured, match=said):
        AddressTokens(lambda *_: asyncio.sleep(0), words, port=PORT)
