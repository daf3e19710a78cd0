"""A market's piece store: an HTTP server that keeps what is put there, and refuses when told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class PieceStore:
    """What it was sent."""

    url: str = ""
    status: int = 200
    """What it answers."""
    puts: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Path with query, Authorization, bytes."""


@contextmanager
def piece_store() -> Iterator[PieceStore]:
    """Serve on a port of this machine."""
    kept = PieceStore()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.puts.append((self.path, self.headers.get("Authorization", ""), body))
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
