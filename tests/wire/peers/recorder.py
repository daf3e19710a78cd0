"""A proxy before a devnet that shows whoever records it each exchange of a client that is not ours."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer."""

    path: str
    headers: dict[str, str]
    """Of the request."""
    body: bytes
    status: int
    text: bytes
    """Of the answer."""


class Recorder:
    """The proxy; `with Recorder(port, keep) as recorder` serves at `recorder.address`."""

    def __init__(
        self,
        port: int,
        keep: Callable[[Exchange], None],
        *,
        still: AbstractContextManager[Any] | None = None,
    ) -> None:
        """Pass on to `port`; `still` is held from a request to the end of `keep`."""

        class Handler(BaseHTTPRequestHandler):
            """Passes one request on."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # the name that http.server calls
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with still or contextlib.nullcontext():
                    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                    link.request("POST", self.path, body, dict(self.headers))
                    answer = link.getresponse()
                    text = answer.read()
                    link.close()
                    keep(Exchange(self.path, dict(self.headers), body, answer.status, text))
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"] or "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:  # the name of http.server
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> Recorder:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
