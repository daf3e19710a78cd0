"""A pool on a PostgreSQL and a Redis of its own: other versions, TLS, a standby, one set back in time."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
import psycopg2
import redis
from psycopg2.extensions import connection

from poolsite.embedded.programs import postgres_programs
from tests.acceptance.chain import NodeRefused
from tests.acceptance.messager import token_for, worker_of
from tests.acceptance.pool import RunningPool
from tests.certificate import Certificate
from tests.debian_packages import LIBRARIES
from tests.integration.pools import wait_until
from tests.servers import folder_new, port_free, tied_to_us

USER: Final = "pool"
PASSWORD: Final = "p@ss/w:rd#1%?"
"""What a URL has to spell otherwise."""
RIGHTS: Final = "~* &* +@all -@admin"
"""Of the pool's user of Redis: docs/requirements.md."""


class OwnPostgres:
    """A PostgreSQL on a port of its own, whose data can be copied, followed and set back."""

    def __init__(self, programs: Path | None = None) -> None:
        self.programs = programs or postgres_programs()
        self.port, self.base = port_free(), folder_new()
        self.base.chmod(0o755)
        self.data, self.archive = self.base / "data", self.base / "archive"
        self.process: subprocess.Popen[bytes] | None = None
        libraries = self.programs.parents[4] / LIBRARIES
        self.env = os.environ | ({"LD_LIBRARY_PATH": str(libraries)} if libraries.exists() else {})
        self.account: dict[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.base, nobody.pw_uid, nobody.pw_gid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.base, ignore_errors=True)

    def run(self, program: str, *words: str | Path) -> None:
        """Run one of its programs as its account."""
        done = subprocess.run(
            [self.programs / program, *words],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            env=self.env,
            **self.account,
        )
        assert done.returncode == 0, done.stderr

    def create(self) -> None:
        """Make an empty cluster, which lets in whoever has the password."""
        secret = self.base / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        login = ("-A", "scram-sha-256", f"--pwfile={secret}", "-U", USER)
        self.run("initdb", "-N", *login, "--locale=C.UTF-8", "-D", self.data)

    def copy_of(self, other: OwnPostgres, *options: str) -> None:
        """Copy a running cluster as `pg_basebackup` does."""
        self.run("pg_basebackup", "-d", f"{other.url}/postgres", "-D", self.data, "-c", "fast", *options)

    def start(self, *settings: str, within_s: float = 60) -> None:
        """Run it, and return when it lets sessions in."""
        listen = (f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=")
        words = [word for option in (*listen, "max_connections=200", *settings) for word in ("-c", option)]
        with (self.base / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, *words],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=tied_to_us(signal.SIGINT),
                cwd="/",
                env=self.env,
                **self.account,
            )
        wait_until(self.answers, within_s=within_s, what=lambda: (self.base / "log").read_text()[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends its sessions and keeps its data in order, SIGQUIT is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(120)
            self.process = None

    def answers(self) -> bool:
        """Return whether it lets sessions in; fails if it has ended."""
        assert self.process is not None
        assert self.process.poll() is None, (self.base / "log").read_text()[-2000:]
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(f"{self.url}/postgres").close()
            return True
        return False

    def ask(self, question: str, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Return the rows of a question in a session of its own."""
        link = psycopg2.connect(f"{self.url}/{database}")
        link.autocommit = True
        with contextlib.closing(link), link.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchall() if cursor.description else []

    @property
    def url(self) -> str:
        """Where it answers, without a database's name."""
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}"


def url_of(*servers: OwnPostgres) -> str:
    """Return the pool's URL of servers of which one takes writes."""
    places = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{places}/pool"


class OwnRedis:
    """A Redis that speaks TLS alone, and lets in one user with a password."""

    def __init__(self, command: list[str]) -> None:
        self.port, self.base = port_free(), folder_new()
        self.certificate = Certificate(self.base, name="localhost")
        lines = (
            *("port 0", f"tls-port {self.port}", "bind 127.0.0.1", "tls-auth-clients no", 'save ""'),
            *(f"tls-cert-file {self.certificate.public}", f"tls-key-file {self.certificate.key}"),
            *(f"tls-ca-cert-file {self.certificate.public}", f"dir {self.base}"),
            *("user default off", f"user {USER} on >{PASSWORD} {RIGHTS}"),
        )
        (self.base / "redis.conf").write_text("\n".join(lines) + "\n")
        with (self.base / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, str(self.base / "redis.conf")],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=tied_to_us(signal.SIGTERM),
            )
        wait_until(self.answers, within_s=30, what=lambda: (self.base / "log").read_text()[-2000:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(60)
        shutil.rmtree(self.base, ignore_errors=True)

    def url(self, *, password: str = PASSWORD, trusts: bool = True) -> str:
        """Return where it answers."""
        trust = f"?ssl_ca_certs={self.certificate.public}" if trusts else ""
        return f"rediss://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/3{trust}"

    def answers(self) -> bool:
        """Return whether it answers; fails if it has ended."""
        assert self.process.poll() is None, (self.base / "log").read_text()[-2000:]
        with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(self.url()) as client:
            return bool(client.ping())
        return False


class OwnServersPool(RunningPool):
    """A pool of console, signer and chain, without hosts, on servers of its own."""

    def __init__(self, *, database: str, redis_url: str = "") -> None:
        super().__init__(
            web_processes=1,
            has_kernels=False,
            DATABASE_URL=database,
            REDIS_URL=redis_url,
            POOLSITE_DISABLE="sealer,prover",
        )

    @contextlib.contextmanager
    def database(self) -> Iterator[connection]:
        """A session with the server that takes writes."""
        link = psycopg2.connect(f"{self.env['DATABASE_URL']}?target_session_attrs=read-write")
        try:
            yield link
        finally:
            link.close()

    def recovery(self) -> tuple[Any, ...]:
        """Since when the pool is in recovery, when that last began, and why."""
        return self.rows_of("select since, restored_at, reason from messages_recovery")[0]

    def wait_recovered(self, reason: str, *, within_s: float = 120) -> None:
        """Wait until a recovery of this reason has begun and is over."""

        def is_over() -> bool:
            with contextlib.suppress(psycopg2.Error):
                since, restored_at, told = self.recovery()
                return since is None and restored_at is not None and reason in told
            return False

        wait_until(is_over, within_s=within_s, what=lambda: f"{self.recovery()}\n{self.diagnosis()}")


class Payments:
    """Payments of 1, 2, 4, … to an address that nobody else pays: its balance tells which landed, and whether
    one did twice.
    """

    def __init__(self, pool: OwnServersPool, to: str) -> None:
        self.pool, self.to, self.count = pool, to, 0
        self.token, self.sender = token_for(pool, "pool"), worker_of(pool)

    def push(self, number: int) -> bool:
        """Push one under its id, as a client repeats what was not answered; return whether it is taken."""
        message = {
            **{"Version": 0, "To": self.to, "From": self.sender, "Nonce": 0, "Value": str(1 << number)},
            **{"GasLimit": 0, "GasFeeCap": "0", "GasPremium": "0", "Method": 0, "Params": None},
        }
        try:
            answer = self.pool.rpc(
                "Message.PushMessageWithId", f"pay-{number}", message, None, token=self.token
            )
        except (httpx.TransportError, ValueError):
            return False
        return bool(answer.get("result") == f"pay-{number}")

    def pay(self, count: int = 1, *, within_s: float = 120) -> None:
        """Push the next ones until each is taken."""
        for number in range(self.count, self.count + count):
            wait_until(lambda number=number: self.push(number), within_s=within_s, what=self.pool.diagnosis)
        self.count += count

    def balance(self) -> int:
        """Return what the chain says that they have paid."""
        with contextlib.suppress(NodeRefused, httpx.TransportError):
            actor = self.pool.chain.call("StateGetActor", self.to, None)
            return int(actor["Balance"]) if actor else 0
        return 0

    def wait_landed(self, *, within_s: float = 180) -> None:
        """Wait until all have landed; each did once."""
        wanted = (1 << self.count) - 1
        wait_until(
            lambda: self.balance() == wanted,
            within_s=within_s,
            what=lambda: f"paid {self.balance():b} of {wanted:b}\n{self.pool.diagnosis()}",
        )

    def stay_landed(self, heads: int = 5) -> None:
        """Require that nothing more is paid for some heads."""
        until = self.pool.chain.height() + heads
        wait_until(lambda: self.pool.chain.height() >= until, within_s=60, what=f"head {until}")
        time.sleep(0.5)
        assert self.balance() == (1 << self.count) - 1
