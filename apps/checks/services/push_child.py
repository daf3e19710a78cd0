"""A process that sends one text by apprise, then ends: `python -m apps.checks.services.push_child`.

It gets URL, title and text on its standard input and writes what became of them to its standard output.
It has no settings, no database and an empty environment.  Before apprise sees the URL, the process is shut:
it resolves no host but the service's own, connects to no address but a public one of these, opens no file
but its own code's, writes none, and starts nothing.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any, Final

from apprise import Apprise, AppriseAsset
from requests import PreparedRequest, Response, sessions

from apps.chain.node.public_hosts import is_public
from apps.checks.services.push_services import push_url_find

LIMIT_S: Final = 15
"""It ends itself after that, should its parent be gone."""
MEMORY_MAX: Final = 1 << 30
RESOLVE: Final = "socket.getaddrinfo"
HTTPS: Final = 443
ANSWER_MAX: Final = 64 * 1024
HARMLESS: Final = ("os.listdir", "os.scandir", "os.walk", "os.fwalk")
REFUSED_PREFIXES: Final = (
    *("os.", "subprocess.", "shutil.", "pty.", "ctypes.", "tempfile.", "ftplib.", "smtplib.", "telnetlib."),
    *("syslog.", "sqlite3.", "mmap.", "winreg.", "webbrowser.", "socket."),
)
"""Audit events by how their names begin; those of `socket.` that follow a checked address are let through."""
QUIET: Final = ("socket.__new__", "socket.gethostname")


class Refused(PermissionError):
    """Something that no service needs was tried."""


class Guard:
    """Limits of this process; none of them is lifted again."""

    def __init__(self, hosts: Collection[str]) -> None:
        self.hosts = frozenset(hosts)
        self.addresses: set[str] = set()
        """Public addresses of the hosts, as they were resolved."""
        self.is_private = False
        """Whether a host had none."""
        self.is_unresolved = False
        self.refused: list[tuple[str, str]] = []
        """Audit events with what they were about."""
        self._resolve: Callable[..., list[Any]] = socket.getaddrinfo
        own = os.getcwd()  # of the pool: keys and its data may be below it
        roots = {os.path.realpath(root) for root in (sys.prefix, sys.base_prefix, *sys.path) if root} - {own}
        self._code = tuple(root + os.sep for root in (*roots, os.path.join(own, "apps")))

    def shut(self) -> None:
        """Begin to refuse."""
        socket.getaddrinfo = self.resolve
        sys.addaudithook(self.audit)

    def resolve(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """Return the public addresses of a host of the service.  Raises OSError."""
        self._require(_text(host) in self.hosts, RESOLVE, detail=_text(host))
        try:
            rows = self._resolve(host, port, *args, **kwargs)
        except socket.gaierror:
            self.is_unresolved = True
            raise
        public = [row for row in rows if is_public(str(row[4][0]))]
        if not public:
            self.is_private = True
            raise Refused
        self.addresses |= {str(row[4][0]) for row in public}
        return public

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Refuse what no service needs.  Raises Refused."""
        if event == RESOLVE:
            self._require(_text(args[0]) in self.hosts, event, detail=_text(args[0]))
        elif event == "socket.connect":
            address = args[1]
            is_known = isinstance(address, tuple) and address[0] in self.addresses
            self._require(is_known and address[1] == HTTPS, event, detail=str(address))
        elif event == "open":
            self._open(*args)
        elif event.startswith(REFUSED_PREFIXES):
            self._require(event in HARMLESS or event in QUIET, event)

    def _open(self, path: Any, mode: Any, flags: Any) -> None:  # noqa: ARG002  # the event's form
        if isinstance(path, int):
            return
        is_code = os.path.realpath(_text(path)).startswith(self._code)
        is_written = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        self._require(is_code and not is_written, "open", detail=_text(path))

    def _require(self, is_fine: bool, event: str, *, detail: str = "") -> None:
        if not is_fine:
            self.refused.append((event, detail[:200]))
            raise Refused(event)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


class OneSession(sessions.Session):
    """Requests without redirects, proxies and passwords of files; keeps the last answer."""

    last: Response | None = None

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send it and keep the answer."""
        OneSession.last = super().send(request, **{**kwargs, "allow_redirects": False})
        return OneSession.last


def limits_set() -> None:
    """Bound time, memory and files."""
    signal.alarm(LIMIT_S)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def text_send(*, url: str, title: str, text: str) -> dict[str, Any]:
    """Send a text; return whether it was taken, and what is known if not."""
    target = push_url_find(url)
    if target is None:
        return {"delivered": False, "refused": [("url", "")]}
    service = target.service
    module, name = service.plugin.split(":")
    plugin = getattr(import_module(f"apprise.plugins.{module}"), name)
    sessions.Session = OneSession  # type: ignore[misc]  # what `requests.post` makes
    guard = Guard(service.hosts)
    guard.shut()
    asset = AppriseAsset(app_id="Poolsite", app_desc="Poolsite", async_mode=False)
    row = plugin(**plugin.parse_url(target.apprise_url), asset=asset)
    sender = Apprise(asset=asset)
    sender.add(row)
    delivered = bool(sender.notify(body=text, title=title, body_format="text"))
    last = OneSession.last
    return {
        "delivered": delivered and not guard.refused,
        "refused": guard.refused,
        "is_private": guard.is_private,
        "is_unresolved": guard.is_unresolved,
        "status": None if last is None else last.status_code,
        "answer": "" if last is None else last.text[:ANSWER_MAX],
    }


def push_run() -> None:
    """Read what to send, send it, write what became of it."""
    limits_set()
    sys.stdout.write(json.dumps(text_send(**json.load(sys.stdin))))


if __name__ == "__main__":
    push_run()
