"""A second console machine joins a running pool, works beside the first, and takes over when that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import httpx
import psycopg2
import pytest

from poolsite.console_folder import ConsoleFolder
from poolsite.embedded.programs import postgres_programs
from tests import template
from tests.integration.pools import NO_CERTIFICATES, SITE, Pool, wait_until
from tests.servers import postgres_on_tcp, redis_on_tcp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.xdist_group("pool")]

LEFT_OUT: Final = "tasks,tasks-slow,signer,signer-init,bootstrap-miner,sealer,prover,blocks,devnet"
"""What the test does not look at, and would cost seconds."""
STATE: Final = """
select (select string_agg(digest || coalesce(revoked_at::text, ''), ',' order by digest) from users_token
        where joins = '' and scopes <> '["join-console"]'),
       (select string_agg(password, ',' order by username) from users_user),
       (select count(*) from django_migrations)
"""


class SecondConsole(Pool):
    """A machine that is added to a pool by `make console`."""

    def __init__(self, first: Pool, token: str, **env: str) -> None:
        super().__init__(
            web_processes=1,
            has_tables=False,
            POOLSITE_MACHINE="second",
            POOLSITE_DISABLE="tasks,tasks-slow,blocks",
            DATABASE_URL="",
            **env,
        )
        for name in ("DEVNET_LISTEN", "POOLSITE_NETWORK"):
            self.env.pop(name)
        self.first = first
        self.token_file = self.base / "join-token"
        self.token_file.write_text(token)

    @property
    def command(self) -> list[str]:
        """What `make console` runs."""
        address = f"http://127.0.0.1:{self.first.port}"
        return [
            *(str(self.python), "-m", "poolsite.embedded.console", "--join", address),
            *("--join-token-file", str(self.token_file)),
        ]

    def begin(self) -> None:
        """Run `make console`'s program and wait for nothing."""
        with self.said.open("w") as out:
            self.supervisor = subprocess.Popen(
                self.command, cwd=SITE, env=self.env, stdout=out, stderr=subprocess.STDOUT, text=True
            )

    def refusal(self, **env: str) -> str:
        """Run it where it must not join; gives why not."""
        done = subprocess.run(
            self.command,
            cwd=SITE,
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 1, done.stdout + done.stderr
        assert ConsoleFolder.of(self.var) is None
        return done.stderr


@pytest.fixture(scope="module")
def first() -> Iterator[Pool]:
    """A pool on servers of its own, which another machine reaches."""
    with postgres_on_tcp(postgres_programs()) as database, redis_on_tcp() as redis:
        with closing(psycopg2.connect(f"{database}/postgres")) as link:
            link.autocommit = True
            link.cursor().execute("create database pool")
            link.cursor().execute("create database other")
        port = database.rpartition(":")[2]
        place = {"PGHOST": "127.0.0.1", "PGPORT": port, "PGUSER": "postgres", "PGDATABASE": "pool"}
        template.fill(postgres_programs(), place)
        with Pool(
            web_processes=1,
            DATABASE_URL=f"{database}/pool",
            REDIS_URL=redis,
            POOLSITE_MACHINE="first",
            POOLSITE_DISABLE=LEFT_OUT,
        ) as pool:
            yield pool


def asked(pool: Pool, method: str, path: str) -> Any:
    token = (pool.var / "tokens" / "admin").read_text().strip()
    answer = httpx.request(
        method,
        f"http://127.0.0.1:{pool.port}/api/v1/{path}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        verify=NO_CERTIFICATES,
    )
    assert answer.is_success, answer.text
    return answer.json()


def state(pool: Pool) -> tuple[Any, ...]:
    """Tokens, passwords and migrations."""
    with closing(psycopg2.connect(pool.env["DATABASE_URL"])) as link, link.cursor() as cursor:
        cursor.execute(STATE)
        return cursor.fetchone() or ()


def consoles(pool: Pool) -> dict[str, Any]:
    return {one["machine"]: one for one in asked(pool, "GET", "consoles")}


def test_a_second_machine_joins_changes_nothing_and_takes_over(first: Pool, tmp_path: Path) -> None:
    before = state(first)
    token = asked(first, "POST", "consoles/join-tokens")["token"]
    pieces = tmp_path / "pieces"
    second = SecondConsole(first, token, PIECES_DIR=str(pieces))
    other = first.env["DATABASE_URL"].replace("/pool", "/other")

    assert "POOLSITE_MACHINE" in second.refusal(POOLSITE_MACHINE="first")
    assert "DATABASE_URL: the database has no pool's tables" in second.refusal(DATABASE_URL=other)
    missing = second.refusal(REDIS_URL="rediss://127.0.0.1:1/0?ssl_ca_certs=/nowhere/ca.pem")
    assert "REDIS_URL has ssl_ca_certs=/nowhere/ca.pem: it cannot be read" in missing
    assert "REDIS_URL: not reached" in second.refusal(REDIS_URL="redis://127.0.0.1:1/0")
    with second:
        wait_until(
            lambda: consoles(first).get("second", {}).get("works"), within_s=60, what="the second works"
        )
        words = second.said.read_text()
        assert "has joined the pool as second" in words
        assert "PIECES_DIR: " in words, "another folder is mounted there"
        assert "CHAIN_URLS: http://127.0.0.1:" in words, "no node runs here"
        assert token not in words
        assert state(first) == before
        assert not (second.var / "operator.json").exists()
        assert second.get("/healthz").status_code == 200
        seen = consoles(first)
        assert seen["first"]["leads"] == ["follower"]
        assert seen["second"]["leads"] == []
        wait_until(
            lambda: consoles(first)["second"]["unread"],
            within_s=90,
            what="the second cannot read the first's",
        )
        unread = {one["setting"]: one for one in consoles(first)["second"]["unread"]}
        assert (unread["PIECES_DIR"]["machine"], unread["PIECES_DIR"]["folder"]) == ("first", str(pieces))

        thief = SecondConsole(first, token)
        assert "a console machine has already joined with this token" in thief.refusal(
            POOLSITE_MACHINE="third"
        )

        os.kill(first.rows()["follower"]["pid"], signal.SIGSTOP)
        wait_until(
            lambda: consoles(first)["second"]["leads"] == ["follower"], within_s=30, what="the second leads"
        )
        os.kill(first.rows()["follower"]["pid"], signal.SIGCONT)

        second.stop()
        second.start()  # by the same command: it joins no second time
        assert state(first) == before


def test_no_console_starts_without_an_address_or_a_token(tmp_path: Path) -> None:
    env = {**os.environ, "POOLSITE_VAR": str(tmp_path / "var")}
    program = [sys.executable, "-m", "poolsite.embedded.console"]

    def said(*words: str) -> str:
        done = subprocess.run(
            [*program, *words],
            env=env,
            cwd=SITE,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 1
        assert not (tmp_path / "var").exists()
        return done.stderr

    assert "JOIN: missing" in said()
    assert "JOIN: 'pool.example' is no address" in said("--join", "pool.example")
    without = said("--join", "http://pool.example")
    assert "http://pool.example is not HTTPS" in without
    assert "no join token" in without
