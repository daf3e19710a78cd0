"""A second console machine joins a running pool, works beside the first, and leads when that cannot work.

What both share they reach by cables of the test, which are cut for one of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg2
import pytest

from apps.core.process_leases import EXIT_GIVEN_UP
from tests.cables import Cut
from tests.fake_node import FakeNode, served
from tests.integration.consoles import JoinedConsole, Site, servers
from tests.integration.pools import NO_CERTIFICATES, SITE, Pool, wait_until
from tests.notes import REPORT

pytestmark = [pytest.mark.xdist_group("pool")]

LEFT_OUT: Final = "tasks,tasks-slow,signer,signer-init,sealer,prover,blocks"
"""What the test does not look at, and would cost seconds."""
AWAY_S: Final = 6.0
"""So long no machine reaches the node: one alone would have stood back."""
STATE: Final = """
select (select string_agg(digest || coalesce(revoked_at::text, ''), ',' order by digest) from users_token
        where joins = '' and scopes <> '["join-console"]'),
       (select string_agg(password, ',' order by username) from users_user),
       (select count(*) from django_migrations)
"""


@contextmanager
def mining(node: FakeNode) -> Iterator[None]:
    """Let a node's chain grow by a tipset a second."""
    over = threading.Event()
    node.clock = node.head.timestamp = int(time.time())

    def grow() -> None:
        while not over.wait(1.0):
            node.mine()

    thread = threading.Thread(target=grow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture(scope="module")
def site(node: FakeNode) -> Iterator[Site]:
    """A database, a Redis and a node that several machines reach."""
    with servers() as (database, redis), ExitStack() as ends, served(node) as url, mining(node):
        yield Site(database, redis, url, ends)


@pytest.fixture(scope="module")
def first(site: Site) -> Iterator[Pool]:
    """A pool on servers of its own, which another machine reaches."""
    with Pool(
        web_processes=1,
        DATABASE_URL=site.urls["database"],
        REDIS_URL=site.urls["redis"],
        CHAIN_URLS=site.urls["node"],
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


@pytest.mark.timing
def test_a_second_machine_joins_changes_nothing_and_takes_over(
    first: Pool, site: Site, node: FakeNode, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    before = state(first)
    token = asked(first, "POST", "consoles/join-tokens")["token"]
    pieces = tmp_path / "pieces"
    without = "tasks,tasks-slow,blocks"
    second = JoinedConsole(first, token, machine="second", without=without, PIECES_DIR=str(pieces))
    other = first.env["DATABASE_URL"].replace("/pool", "/other")
    site.cables["node"].cut(Cut.REFUSED, "second")

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
        assert "CHAIN_URLS: http://127.0.0.1:" in words, "it reaches no node"
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

        thief = JoinedConsole(first, token, machine="third")
        assert "a console machine has already joined with this token" in thief.refusal()

        try:
            taken_over_whatever_happens(site, first, second)
        finally:
            record_property(REPORT, "; ".join(site.seen))
        node_followed_require(site, node)

        second.stop()
        second.start()  # by the same command: it joins no second time
        assert state(first) == before


def taken_over_whatever_happens(site: Site, first: Pool, second: Pool) -> None:
    """Cut, stop and kill whoever leads: the other one leads, and nobody else; who comes back stands by."""
    cables = site.cables
    site.mend()
    site.able_wait("second")
    cables["node"].cut(Cut.SILENT, "first")
    site.led_wait("second", "the first reached no node")

    cables["node"].cut(Cut.SILENT, "first", "second")
    until = time.monotonic() + AWAY_S
    while time.monotonic() < until:
        assert site.leaders() == ["second"], "nobody reaches the node: nobody could do better"
        time.sleep(0.2)
    site.mend()
    site.able_wait("first")
    assert site.leaders() == ["second"], "the first does not snatch it back"

    cables["redis"].cut(Cut.DEAF, "second")
    site.led_wait("first", "the second heard nothing of Redis")
    site.mend()
    site.able_wait("second")

    cables["database"].cut(Cut.DEAF, "first")
    site.led_wait("second", "the first heard nothing of the database")
    site.mend()
    wait_until(
        lambda: first.rows()["follower"]["last_exit"] == EXIT_GIVEN_UP, within_s=60, what="the first gave up"
    )
    site.able_wait("first")

    os.kill(second.rows()["follower"]["pid"], signal.SIGSTOP)
    site.led_wait("first", "the second was stopped")
    os.kill(second.rows()["follower"]["pid"], signal.SIGCONT)

    first.kill("follower")
    wait_until(lambda: len(site.leaders()) == 1, within_s=30, what="one leads after a kill")


def node_followed_require(site: Site, node: FakeNode) -> None:
    """Require that each tipset of the node is one row, whoever led when it came."""
    wait_until(lambda: site.height() >= node.head.height - 1, within_s=30, what="the newest head")
    rows = site.rows("select height, key from chain_head order by height")
    expected = [(one.height, one.cid) for one in node.chain(node.head.cid)]
    assert rows == expected[rows[0][0] : rows[-1][0] + 1]


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
