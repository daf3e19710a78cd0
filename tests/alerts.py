"""Alerts in tests: a channel, and evaluations in which checks fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from apps.checks.findings.results import Finding
from apps.checks.models import AlertChannel
from apps.checks.report.report import Report, Result
from apps.checks.services.alerts import alerts_update
from apps.checks.services.channels import ChannelSpec, channel_add
from apps.checks.states import ChannelKind
from apps.checks.table.checks import CHECKS
from apps.users.rules.principals import SYSTEM

T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET_URL = "https://chat.example.com/hooks/T0PS3CRET"


class Hook:
    """A webhook that keeps what it got, and answers with `status` and what `answer` makes of the body."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.requests: list[str] = []
        """Method and path of each."""
        self.status = 200
        self.answer: Callable[[bytes], bytes] = lambda _body: b""
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the library's name
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                hook.requests.append(f"{self.command} {self.path}")
                hook.got.append((dict(self.headers), body))
                answer = hook.answer(body)
                self.send_response(hook.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST

            def log_message(self, *_args: Any) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]


def channel(name: str = "ops", target: str = SECRET_URL, **values: Any) -> AlertChannel:
    """A webhook; without `tenant` the operator's."""
    given = {"kind": ChannelKind.WEBHOOK, **values}
    principal, tenant = given.pop("principal", SYSTEM), given.pop("tenant", None)
    return channel_add(ChannelSpec(name=name, target=target, **given), principal=principal, tenant=tenant)


def report_of(*failing: str, count: int = 1) -> Report:
    """An evaluation in which these checks fail."""
    found = {
        name: (Finding(name, f"{name} is wrong", "at http://10.0.0.7:1234 with token x", count=count),)
        for name in failing
    }
    return Report(T0, tuple(Result(check, found.get(check.name, ())) for check in CHECKS))


def told(at: datetime, *failing: str, count: int = 1) -> list[tuple[str, str, str]]:
    """Evaluate at a moment; what the channels are told."""
    rows = alerts_update(report=report_of(*failing, count=count), pool="testnet", now=at)
    return [(row.channel.name, str(row.event), row.body["check"]) for row in rows]
