"""Webhooks of tenants reach public hosts only: no look around in the pool's network, no detour."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.chain.node.public_hosts import is_elsewhere
from apps.checks.models import Notification
from apps.checks.services import outgoing
from apps.checks.services.channels import channel_test
from apps.checks.services.deliver import notifications_deliver
from apps.core.errors import BadValue
from apps.users.rules.principals import SYSTEM
from tests import people
from tests.alerts import SECRET_URL, T0, Hook, channel
from tests.dripping_market import context_of

pytestmark = pytest.mark.django_db

HERE = "apps.chain.node.public_hosts"
PRIVATE = ("127.0.0.1", "10.1.2.3", "172.16.0.9", "192.168.7.7", "169.254.169.254", "100.64.0.1", "0.0.0.0")
PRIVATE_V6 = ("::1", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::")


def outcome_of(url: str) -> Notification:
    """What became of a test of a tenant's webhook."""
    row = channel("ops", url, tenant=people.tenant("alice"), secret="S1GN")
    channel_test(principal=SYSTEM, channel=row, now=T0)
    notifications_deliver(now=lambda: T0)
    return Notification.objects.get()


def looked_up(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Have every name lead to these addresses; what was looked up."""
    asked: list[str] = []

    def found(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(f"{HERE}.socket.getaddrinfo", found)
    return asked


def test_a_look_up_that_takes_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(f"{HERE}.socket.getaddrinfo", lambda *_given, **_how: [answered.wait(20)][:0])
    monkeypatch.setattr(outgoing, "CONNECT_S", 0.2)
    began = time.monotonic()

    row = outcome_of("https://slow-name.example/hook")

    assert time.monotonic() - began < 10
    assert row.error.startswith("no response")
    answered.set()


def connected(monkeypatch: pytest.MonkeyPatch, *, to: int, refused: tuple[str, ...] = ()) -> list[Any]:
    """Have every connection lead to a port of this machine, or be refused; where they were meant to go."""
    places: list[Any] = []

    def connect(place: Any, timeout: float) -> socket.socket:
        places.append(place)
        if place[0] in refused:
            raise ConnectionRefusedError
        sock = socket.socket()
        sock.settimeout(timeout)
        sock.connect(("127.0.0.1", to))
        return sock

    monkeypatch.setattr(f"{HERE}.socket.create_connection", connect)
    return places


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections, and sends a byte now and then that means nothing."""
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        try:
            link, _ = server.accept()
        except OSError:
            return
        with link:
            for one in b"\x16\x03\x03\x40\x00" + bytes(200):
                if over.wait(0.05):
                    return
                try:
                    link.sendall(bytes([one]))
                except OSError:
                    return

    threading.Thread(target=drip, daemon=True).start()
    yield server.getsockname()[1]
    over.set()
    server.close()


@pytest.mark.parametrize("address", [*PRIVATE, *PRIVATE_V6])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_name_that_leads_to_a_private_address_is_not_sent_to(
    monkeypatch: pytest.MonkeyPatch, scheme: str, address: str
) -> None:
    looked_up(monkeypatch, address)
    places = connected(monkeypatch, to=1)

    row = outcome_of(f"{scheme}://hooks.example/T0PS3CRET")

    assert (row.delivered_at, row.error) == (None, "its host has no public address")
    assert places == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_own_public_address_of_the_machine_is_not_sent_to(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    looked_up(monkeypatch, address)
    places = connected(monkeypatch, to=1)
    monkeypatch.setattr(f"{HERE}.is_public", lambda _host: True)

    assert outcome_of("https://hooks.example/x").error == "its host has no public address"
    assert places == []
    assert is_elsewhere("93.184.216.34")


@pytest.mark.parametrize("host", [*PRIVATE, *(f"[{one}]" for one in PRIVATE_V6), "localhost", "LOCALHOST."])
def test_private_address_in_a_url_is_refused_at_once(host: str) -> None:
    with pytest.raises(BadValue, match="of a private network") as refused:
        channel("ops", f"https://{host}/T0PS3CRET", tenant=people.tenant("alice"))

    assert refused.value.field == "target"
    assert "T0PS3CRET" not in str(refused.value)


@pytest.mark.parametrize("word", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
def test_private_address_in_other_notations_is_not_sent_to(word: str) -> None:
    assert outcome_of(f"http://{word}:9/hook").error == "its host has no public address"


def test_checked_address_is_the_one_that_is_connected_to(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = looked_up(monkeypatch, "10.0.0.1", "93.184.216.34", "192.168.0.1")
    places = connected(monkeypatch, to=hook.server.server_port)

    row = outcome_of("http://hooks.example:8065/T0PS3CRET")

    assert row.delivered_at == T0
    assert asked == ["hooks.example"]
    assert places == [("93.184.216.34", 8065)]
    assert hook.got[0][0]["Host"] == "hooks.example:8065"


def test_next_public_address_is_tried_if_one_refuses(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up(monkeypatch, "10.0.0.1", "93.184.216.34", "93.184.216.35")
    places = connected(monkeypatch, to=hook.server.server_port, refused=("93.184.216.34",))

    assert outcome_of("http://hooks.example/T0PS3CRET").delivered_at == T0
    assert places == [("93.184.216.34", 80), ("93.184.216.35", 80)]


def test_operator_may_allow_private_addresses(hook: Hook, settings: Any) -> None:
    settings.ALERT_URLS_PRIVATE = True

    assert outcome_of(hook.url).delivered_at == T0


def test_operators_own_channel_may_be_in_its_network(hook: Hook) -> None:
    channel_test(principal=SYSTEM, channel=channel("ops", hook.url), now=T0)

    assert notifications_deliver(now=lambda: T0) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(hook: Hook, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    hook.status = status
    looked_up(monkeypatch, "93.184.216.34")
    places = connected(monkeypatch, to=hook.server.server_port)

    assert outcome_of("http://hooks.example/hook").error == f"HTTP status {status}"
    assert len(places) == 1


def test_answer_is_read_up_to_a_limit(hook: Hook, settings: Any) -> None:
    settings.ALERT_URLS_PRIVATE = True
    hook.answer = lambda _body: b"x" * (outgoing.ANSWER_MAX + 1)

    assert "no response" in outcome_of(hook.url).error


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_server_that_drips_ends_with_the_time_of_the_call(
    silent: int, settings: Any, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    settings.ALERT_URLS_PRIVATE = True
    monkeypatch.setattr(outgoing, "CONNECT_S", 0.4)
    monkeypatch.setattr(outgoing, "ANSWER_S", 0.6)
    began = time.monotonic()

    row = outcome_of(f"{scheme}://127.0.0.1:{silent}/hook")

    assert time.monotonic() - began < 4
    assert row.error == "no response: timed out"


@pytest.mark.parametrize("sign", ["\x01", "\x7f", " ", "\t", "é"])
def test_url_with_signs_that_http_refuses_is_refused(sign: str) -> None:
    with pytest.raises(BadValue) as refused:
        channel("ops", f"{SECRET_URL}{sign}x")

    assert refused.value.field == "target"


def test_url_and_key_stand_in_no_row_and_no_log(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    looked_up(monkeypatch, "93.184.216.34")
    monkeypatch.setattr(f"{HERE}.socket.create_connection", refuse)

    row = outcome_of("https://user:pa55@hooks.example/T0PS3CRET")

    assert row.error == "no response: connection refused"
    written = caplog.text + repr(Notification.objects.values()) + repr(type(row.channel).objects.values())
    assert not any(word in written for word in ("T0PS3CRET", "pa55", "hooks.example", "S1GN"))


def refuse(*_: Any, **__: Any) -> socket.socket:
    raise ConnectionRefusedError


@pytest.mark.parametrize(
    ("host", "is_known", "error"),
    [
        ("hooks.example", True, ""),
        ("other.example", True, "no response: its certificate is not trusted"),
        ("hooks.example", False, "no response: its certificate is not trusted"),
    ],
)
def test_certificate_is_checked_for_the_name_in_the_url(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, is_known: bool, error: str
) -> None:
    context = context_of(tmp_path, host="hooks.example")
    hook.server.socket = context.wrap_socket(hook.server.socket, server_side=True)
    hook.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up
    if is_known:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    looked_up(monkeypatch, "93.184.216.34")
    places = connected(monkeypatch, to=hook.server.server_port)

    row = outcome_of(f"https://{host}/T0PS3CRET")

    assert (row.error, row.delivered_at is not None) == (error, not error)
    assert places == [("93.184.216.34", 443)]
    assert len(hook.bodies) == (not error)
