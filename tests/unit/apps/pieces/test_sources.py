"""Addresses as people type them and servers redirect to them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from apps.pieces.data.sources import SourceAway, url_opened


class Handler(BaseHTTPRequestHandler):
    """Answers with the path that was asked for; below /to/ it redirects."""

    def do_GET(self) -> None:
        """Answer."""
        if self.path.startswith("/status/"):
            self.send_response(int(self.path.removeprefix("/status/")))
            self.end_headers()
            return
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def base(settings: Any) -> Iterator[str]:
    """A server's address."""
    settings.PIECE_URLS_PRIVATE = True
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/données.car", "/donn%C3%A9es.car"),
        ("/my file.car", "/my%20file.car"),
        ("/a%2Fb?X-Amz-Signature=a+b%2F&k=~é", "/a%2Fb?X-Amz-Signature=a+b%2F&k=~%C3%A9"),
    ],
)
def test_what_a_url_may_not_have_is_percent_encoded(base: str, path: str, asked: str) -> None:
    with url_opened(f"{base}{path}") as body:
        assert body.read(1000).decode() == asked


@pytest.mark.parametrize("location", ["http://[bad/", "http://a.example:x/", "https://.example/"])
def test_a_redirect_to_no_address_fails_with_a_reason(base: str, location: str) -> None:
    with pytest.raises(SourceAway), url_opened(f"{base}/to/{location}"):
        pass


@pytest.mark.parametrize(
    ("path", "is_final"),
    [("/status/404", True), ("/status/403", True), ("/status/503", False), ("/status/429", False)],
)
def test_a_refusal_is_final_unless_it_passes_by_itself(base: str, path: str, is_final: bool) -> None:
    with pytest.raises(SourceAway, match="the source answered") as refused, url_opened(f"{base}{path}"):
        pass

    assert refused.value.is_final == is_final
