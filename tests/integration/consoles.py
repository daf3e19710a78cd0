"""Several console machines of one pool, and the cables by which they reach what they share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg2

from apps.core.ability import ABLE_S
from apps.core.consoles import LEADING
from apps.core.leader import BLOCKS_LOCK, FOLLOWER_LOCK
from poolsite.console_folder import ConsoleFolder
from poolsite.embedded.programs import postgres_programs
from tests import template
from tests.cables import Cable
from tests.integration.pools import SITE, Pool, wait_until
from tests.servers import postgres_on_tcp, redis_on_tcp

LOCKS: Final = {"follower": FOLLOWER_LOCK, "blocks": BLOCKS_LOCK}
ABLE: Final = """
select machine from core_processlease where process = %s and until > clock_timestamp()
and able_since <= clock_timestamp() - %s * interval '1 s'
"""
LEASES: Final = """
select machine, (until - clock_timestamp())::text, (able_since - clock_timestamp())::text
from core_processlease where process = 'follower' and not is_given_up
"""


class JoinedConsole(Pool):
    """A machine that is added to a pool by `make console`."""

    def __init__(self, first: Pool, token: str, *, machine: str, without: str = "", **env: str) -> None:
        """`without`: processes that it does not run."""
        super().__init__(
            web_processes=1,
            has_tables=False,
            POOLSITE_MACHINE=machine,
            POOLSITE_DISABLE=without,
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


class Site:
    """What the machines of a pool share, and the cables to it."""

    def __init__(self, database: str, redis: str, node: str, ends: ExitStack) -> None:
        """The URLs of the servers; `node`: where one answers, or will."""
        self.database = f"{database}/pool"
        """As no cable is cut for the test itself."""
        self.cables: dict[str, Cable] = {}
        self.urls: dict[str, str] = {}
        """What the machines are told."""
        self.seen: list[str] = []
        """How long each change of the lead took."""
        for name, url in (("database", self.database), ("redis", redis), ("node", node)):
            cable = ends.enter_context(Cable(urlsplit(url).port or 0).running())
            self.cables[name] = cable
            self.urls[name] = url.replace(f":{cable.targets[0]}", f":{cable.port}")

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Return the rows of one query."""
        with closing(psycopg2.connect(self.database)) as link, link.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall()

    def leaders(self, role: str = "follower") -> list[str]:
        """Return the machines whose process leads."""
        found = self.rows(LEADING, [LOCKS[role]])
        return [session.partition("@")[2].rpartition(" ")[0] for _, session in found]

    def height(self) -> int:
        """Return the height of the newest head that was followed."""
        [(height,)] = self.rows("select coalesce(max(height), 0) from chain_head where is_canonical")
        return int(height)

    def able_wait(self, *machines: str, role: str = "follower") -> None:
        """Wait until these machines could take a role over."""
        wait_until(
            lambda: set(machines) <= {machine for (machine,) in self.rows(ABLE, role, ABLE_S)},
            within_s=60,
            what=f"{machines} could take over",
        )

    def led_wait(self, machine: str, after: str) -> None:
        """Require that a machine leads, and that heads go on."""
        took_s = wait_until(
            lambda: self.leaders() == [machine],
            within_s=60,
            what=lambda: f"{machine} leads: {after}: {self.rows(LEASES)}",
        )
        before = self.height()
        heads_s = wait_until(lambda: self.height() > before, within_s=60, what=f"heads after {after}")
        self.seen.append(f"{after}: {machine} leads {took_s:.1f} s later, a head came after {heads_s:.1f} s")

    def mend(self) -> None:
        """Let everything pass again."""
        for cable in self.cables.values():
            cable.mend()


@contextmanager
def servers() -> Iterator[tuple[str, str]]:
    """Run PostgreSQL and Redis for several machines; gives their URLs, without a database's name.

    Database `pool` has the tables, `other` is empty.
    """
    with postgres_on_tcp(postgres_programs()) as database, redis_on_tcp() as redis:
        with closing(psycopg2.connect(f"{database}/postgres")) as link:
            link.autocommit = True
            link.cursor().execute("create database pool")
            link.cursor().execute("create database other")
        port = database.rpartition(":")[2]
        place = {"PGHOST": "127.0.0.1", "PGPORT": port, "PGUSER": "postgres", "PGDATABASE": "pool"}
        template.fill(postgres_programs(), place)
        yield database, redis
