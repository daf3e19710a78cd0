"""`make up` beside a PostgreSQL that recovers: it waits, and ends only for what waiting cannot mend."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import psycopg2
import pytest

from apps.messages.services.recovery.detect import TIMELINE
from tests import template
from tests.integration.pools import Pool, wait_until
from tests.servers import PostgresServer, tied_to_us

pytestmark = [pytest.mark.xdist_group("pool")]

LEFT_OUT: Final = "follower,tasks,tasks-slow,signer,signer-init,bootstrap-miner,sealer,prover,devnet"
RECOVERS_S: Final = 10
"""Twice the time in which five attempts ended the start before."""


class RecoveringServer(PostgresServer):
    """PostgreSQL as a standby that refuses sessions, which is how recovery looks from outside."""

    def migrate_template(self) -> None:
        """Make the tables where the pool under test looks for them, or leave them to it."""
        place = {"PGHOST": str(self.sockets), "PGUSER": "postgres", "PGDATABASE": "postgres"}
        template.restore(self.programs, place)

    def recover(self, end: signal.Signals = signal.SIGINT) -> None:
        """Restart in a recovery that lasts until `finish_recovery`; SIGQUIT leaves all since a checkpoint."""
        assert self.process is not None
        self.process.send_signal(end)
        self.process.wait(30)
        self.signal_file("standby.signal")
        options = [word for option in (*self.settings, "hot_standby=off") for word in ("-c", option)]
        with (self.base / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, "-h", "", "-k", self.sockets, *options],
                stderr=log,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=tied_to_us(signal.SIGINT),
                cwd="/",
                **self.account,
            )
        wait_until(lambda: "not accepting connections" in self.refusal(), within_s=20, what=self.refusal)

    def signal_file(self, name: str) -> None:
        """Write a file that tells the server what to be, as its own account."""
        subprocess.run(["touch", self.data / name], check=True, **self.account)

    def finish_recovery(self) -> None:
        """Let sessions in."""
        assert self.process is not None
        self.signal_file("promote")
        self.process.send_signal(signal.SIGUSR1)

    def refusal(self) -> str:
        """Return what a client is told now."""
        try:
            psycopg2.connect(host=str(self.sockets), user="postgres", dbname="postgres").close()
        except psycopg2.OperationalError as error:
            return str(error)
        return ""


@pytest.fixture(scope="module")
def server() -> Iterator[RecoveringServer]:
    made = RecoveringServer(("max_connections=60", "autovacuum=off"))  # fsync and all, as a pool needs
    made.start()
    yield made
    made.stop()


def pool_on(server: RecoveringServer, user: str = "postgres") -> Pool:
    url = f"postgresql:///postgres?host={server.sockets}&user={user}"
    return Pool(DATABASE_URL=url, POOLSITE_DISABLE=LEFT_OUT, web_processes=1)


def test_a_start_waits_until_the_database_has_recovered(server: RecoveringServer) -> None:
    server.recover()
    pool = pool_on(server)
    try:
        pool.begin()
        began = time.monotonic()

        def waits_and_says_why() -> bool:
            assert pool.is_running(), pool.words()
            is_told = "not accepting connections" in pool.words()  # the person at the terminal reads why
            return is_told and time.monotonic() - began > RECOVERS_S

        wait_until(waits_and_says_why, within_s=3 * RECOVERS_S, what=pool.words)

        server.finish_recovery()

        wait_until(pool.answers, within_s=60, what=pool.words)
        assert pool.rows()["prepare"]["restarts"] == 0
    finally:
        pool.__exit__()


def test_a_user_that_the_database_does_not_know_ends_the_start_at_once(server: RecoveringServer) -> None:
    pool = pool_on(server, user="stranger")

    words = pool.refused()

    assert 'role "stranger" does not exist' in words


def test_timeline_is_the_one_written_now_not_the_last_checkpoints(server: RecoveringServer) -> None:
    """A checkpoint of many pages is spread over minutes."""
    asked = f"SELECT {TIMELINE}, (SELECT timeline_id FROM pg_control_checkpoint())"
    [(before, _)] = answer(server, asked)
    answer(server, "CREATE TABLE wide AS SELECT repeat('x', 900) FROM generate_series(1, 20000)")
    server.recover(signal.SIGQUIT)

    server.finish_recovery()
    wait_until(lambda: not server.refusal(), within_s=20, what=server.refusal)

    assert answer(server, asked) == [(before + 1, before)]


def answer(server: RecoveringServer, question: str) -> list[tuple[Any, ...]]:
    """Return the rows that a new session gets."""
    session = psycopg2.connect(host=str(server.sockets), user="postgres", dbname="postgres")
    with closing(session), session, session.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchall() if cursor.description else []
