"""A web process of the product on a socket of ours, which tests may kill and start again."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import SITE, tied_to_us

PATIENCE_S = 120.0


class Web:
    """`python -m poolsite.web`, as the supervisor runs it: the socket outlives the process."""

    def __init__(self, *, database: str, sockets: str, redis_url: str, var: Path) -> None:
        self.link = socket.create_server(("127.0.0.1", 0))
        self.link.set_inheritable(True)
        self.log = var / "web.log"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.browser.site",
            "PGHOST": sockets,
            "PGDATABASE": database,
            "REDIS_URL": redis_url,
            "POOLSITE_VAR": str(var),
            # the first writes its machine's row every five seconds, also into tables of later tests
            "POOLSITE_PROCESS": "web-2",
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return int(self.link.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run it and return when it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "poolsite.web", str(self.link.fileno())],
                cwd=SITE,
                env=self.environment,
                pass_fds=(self.link.fileno(),),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=tied_to_us(signal.SIGTERM),
            )
        self.wait()

    def wait(self) -> None:
        """Return when a request is answered: until then it waits in the socket's queue."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
            try:
                link.request("GET", "/healthz")
                if link.getresponse().status == http.client.OK:
                    return
            except OSError:
                continue
            finally:
                link.close()
        raise RuntimeError(f"the web process did not start: {self.log.read_text()[-2000:]}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it do nothing for a while; what is sent to it waits."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def end(self, how: signal.Signals) -> None:
        """End it by a signal and wait for its end."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None
