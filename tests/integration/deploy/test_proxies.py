"""The proxies of `poolsite/deploy`, run with their example files in front of a real web process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, Final

import httpx
import pytest
from django.db import connections
from websockets.sync.client import ClientConnection, connect

from apps.market.services.markets import market_set
from apps.pieces.models import Piece
from apps.users.models import AuditEntry
from tests import factories, people
from tests.browser.web import Web
from tests.certificate import Certificate
from tests.debian_packages import program_find
from tests.integration.deploy.site import NAME
from tests.integration.pools import SITE, wait_until
from tests.servers import RedisServer, port_free

pytestmark = pytest.mark.slow

DEPLOY: Final = SITE / "poolsite" / "deploy"
MIB: Final = 1 << 20
LARGE: Final = 24 * MIB
"""More than any proxy keeps in memory or takes without being told to."""
HELLO: Final = b"\x13/multistream/1.0.0\n"
"""Of a libp2p client, which names no path."""


class Proxy:
    """A running proxy: its port, and how a client reaches it by name."""

    def __init__(self, port: int, certificate: Certificate) -> None:
        self.port, self.certificate = port, certificate
        self.client = httpx.Client(
            base_url=f"https://127.0.0.1:{port}",
            verify=certificate.context,
            headers={"Host": NAME},
            timeout=60,
        )

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Ask by the name in the certificate."""
        return self.client.request(method, path, extensions={"sni_hostname": NAME}, **how)

    def answers(self) -> bool:
        """Return whether the console is reached through it."""
        try:
            return self.ask("GET", "/healthz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def web(
    transactional_db: None, postgres_sockets: str, pool_redis: str, redis_server: RedisServer, tmp_path: Path
) -> Iterator[Web]:
    """A web process that knows of TLS in front of it."""
    name = str(connections["default"].settings_dict["NAME"])
    made = Web(database=name, sockets=postgres_sockets, redis_url=redis_server.url, var=tmp_path)
    made.environment["DJANGO_SETTINGS_MODULE"] = "tests.integration.deploy.site"
    made.start()
    yield made
    made.end(signal.SIGKILL)
    made.link.close()


def nginx(folder: Path, port: int, consoles: list[str], certificate: Certificate) -> list[str]:
    """Return nginx's command, with the example as its only site."""
    site = (DEPLOY / "nginx.conf").read_text()
    for old, new in (
        ("127.0.0.1:8000", consoles[0]),
        ("127.0.0.2:8000", consoles[1]),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("listen 80;", f"listen 127.0.0.1:{port_free()};"),
        ("/etc/ssl/pool.example.pem", str(certificate.public)),
        ("/etc/ssl/private/pool.example.key", str(certificate.key)),
    ):
        assert old in site, old
        site = site.replace(old, new)
    kinds = ("body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(
        f"{'client_body' if kind == 'body' else kind}_temp_path {folder}/{kind};\n" for kind in kinds
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}{site}\n}}\n"
    )
    if os.geteuid() == 0:  # its workers change to another account, which must reach these folders
        folder.chmod(0o755)
    program = program_find("nginx", "nginx", "nginx-common", folder=folder / "unpacked")
    return [*program, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]


def haproxy(folder: Path, port: int, consoles: list[str], certificate: Certificate) -> list[str]:
    """Return HAProxy's command."""
    text = (DEPLOY / "haproxy.cfg").read_text()
    for old, new in (
        ("127.0.0.1:8000", consoles[0]),
        ("127.0.0.2:8000", consoles[1]),
        ("bind :443", f"bind 127.0.0.1:{port}"),
        ("bind :80", f"bind 127.0.0.1:{port_free()}"),
        ("/etc/ssl/private/pool.example.pem", str(certificate.both)),
    ):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "haproxy.cfg").write_text(text)
    program = program_find(
        "haproxy",
        "haproxy",
        "liblua5.3-0",
        "libopentracing-c-wrapper0",
        "libopentracing1",
        folder=folder / "unpacked",
    )
    return [*program, "-f", f"{folder}/haproxy.cfg"]


def caddy(folder: Path, port: int, consoles: list[str], certificate: Certificate) -> list[str]:
    """Return Caddy's command, with a certificate of ours for lack of an authority."""
    text = (DEPLOY / "Caddyfile").read_text()
    begin = "{$DOMAIN:localhost} {\n"
    assert begin in text
    own = f"\ttls {certificate.public} {certificate.key}\n\tbind 127.0.0.1\n"
    options = f"{{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system {folder}/storage\n}}\n"
    text = text.replace(begin, begin + own, 1).replace("Host {$DOMAIN:localhost}", f"Host {NAME}")
    (folder / "Caddyfile").write_text(options + text)
    program = program_find("caddy", "caddy", folder=folder / "unpacked")
    return [
        "env",
        f"DOMAIN=https://{NAME}:{port}",
        f"CONSOLES={' '.join(consoles)}",
        *program,
        "run",
        "--adapter",
        "caddyfile",
        "--config",
        f"{folder}/Caddyfile",
    ]


@contextmanager
def running(
    proxy: Callable[[Path, int, list[str], Certificate], list[str]], folder: Path, web: Web
) -> Iterator[Proxy]:
    """Run a proxy before the console and a second one that is away."""
    certificate, port = Certificate(folder, name=NAME), port_free()
    command = proxy(folder, port, [f"127.0.0.1:{web.port}", f"127.0.0.1:{port_free()}"], certificate)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    made = Proxy(port, certificate)
    try:

        def is_up() -> bool:
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            return made.answers()

        wait_until(is_up, within_s=30, what=lambda: (folder / "log").read_text()[-2000:])
        yield made
    finally:
        made.client.close()
        process.terminate()
        process.wait(20)


@contextmanager
def door(var: Path) -> Iterator[list[bytes]]:
    """Listen where the door of f02001 does, and say what it is told; yields what clients said."""
    folder, told = var / "peers", []
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "f02001.sock"))
        listener.listen()

        def serve() -> None:
            with suppress(OSError):
                link, _ = listener.accept()
                with link, link.makefile("rwb") as stream:
                    told.extend([stream.readline(), stream.read(len(HELLO))])
                    stream.write(told[1])

        thread = Thread(target=serve)
        thread.start()
        yield told
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def open_socket(console: Proxy, path: str, **headers: str) -> ClientConnection:
    """Open a WebSocket through a proxy."""
    return connect(
        f"wss://{NAME}{path}",
        sock=socket.create_connection(("127.0.0.1", console.port)),
        ssl=console.certificate.context,
        server_hostname=NAME,
        additional_headers=headers,
        open_timeout=60,
    )


@pytest.mark.parametrize("proxy", [nginx, haproxy, caddy])
def test_a_console_works_behind_it(
    proxy: Callable[[Path, int, list[str], Certificate], list[str]], web: Web, tmp_path: Path
) -> None:
    """One test for all: each proxy and its console start once."""
    miner = factories.miner(2001, of="alice", sector_size=512 * MIB)
    market_set(miner, values={"takes_libp2p": True, "libp2p_port": port_free()}, by=people.principal())
    bearer = {"Authorization": f"Bearer {people.token('write')}"}
    person = people.person("ann")
    person.set_password("a long password")
    person.save()
    folder = tmp_path / "proxy"
    folder.mkdir()

    with running(proxy, folder, web) as console:
        pages = [console.ask("GET", "/login/") for _ in range(20)]
        uploaded = console.ask("POST", "/api/v1/miners/f02001/pieces", content=bytes(LARGE), headers=bearer)
        figures = console.ask("GET", "/metrics")
        signed_in = console.ask(
            "POST",
            "/login/",
            data={
                "username": "ann",
                "password": "a long password",
                "csrfmiddlewaretoken": pages[-1].cookies["csrftoken"],
            },
            headers={
                "X-Forwarded-For": "6.6.6.6",
                "Origin": f"https://{NAME}",
                "Cookie": f"csrftoken={pages[-1].cookies['csrftoken']}",
            },
        )
        with open_socket(console, "/rpc/v1", **bearer) as link:
            link.send('{"jsonrpc":"2.0","id":7,"method":"Filecoin.WalletList","params":[]}')
            told = json.loads(link.recv(30))
        with door(tmp_path) as heard, open_socket(console, "/") as deals:
            deals.send(HELLO)
            answered = deals.recv(30)

    assert {page.status_code for page in pages} == {200}, "one console is away"
    assert "Secure" in pages[0].headers["set-cookie"]
    assert "max-age" in pages[0].headers["strict-transport-security"]
    assert uploaded.status_code == 201, uploaded.text
    assert Piece.objects.get().payload_size == LARGE
    assert figures.status_code == 404
    assert signed_in.status_code == 302, signed_in.text[:500]
    assert AuditEntry.objects.get(action="login").source == "127.0.0.1", (
        "what a client claims is not believed"
    )
    assert told["id"] == 7
    assert (heard, answered) == ([b"127.0.0.1\n", HELLO], HELLO)
