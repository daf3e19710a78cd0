"""How a worker's start goes when the console is away, or says no."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from structlog.testing import capture_logs

from poolsite.wire.codec import document_encode
from poolsite.wire.hosts import Heartbeat, HeartbeatAnswer, SectorOnHost
from poolsite.wire.jobs import JobKind
from tests.unit.workers.agent.scripted_host import REGISTERED
from tests.waiting import until
from workers.agent.sealer import main
from workers.config import SealerConfig, sealer_config
from workers.console.client import Console
from workers.console.lease_keeper import LeaseKeeper, TokenRefused
from workers.console.refusals import Replaced

NEWER = b'{"code": "bad_value", "message": "unknown field", "field": "settings"}'
RETIRED = b'{"code": "worker_retired", "message": "worker a was retired", "field": "worker_id"}'
REFUSAL = b'{"code": "token_refused", "message": "this token was revoked", "field": ""}'


@contextmanager
def answering(status: int, body: bytes, asked: threading.Event | None = None) -> Iterator[str]:
    """A console that gives every request the same answer; `asked` is set with the first."""

    class Same(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if asked is not None:
                asked.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Same) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


def config_of(folder: Path, console: str) -> SealerConfig:
    """What a sealing worker is told."""
    (folder / "token").write_text("t\n")
    return sealer_config(["--dir", str(folder), "--token-file", str(folder / "token"), "--console", console])


def lease_keeper_of(config: SealerConfig) -> LeaseKeeper:
    """The line of a sealing worker."""
    return LeaseKeeper(config, Console(config.console, config.token), kinds=(JobKind.SEAL,), slots={"PC1": 1})


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_not_taken_ends_the_start(tmp_path: Path, status: int) -> None:
    with answering(status, REFUSAL) as url:
        leases = lease_keeper_of(config_of(tmp_path, url))
        leases.register_until_known()
        leases.console.close()

    with pytest.raises(TokenRefused, match=r"does not accept this token: .*revoked"):
        leases.require_accepted()


def test_a_retired_hosts_folder_ends_the_start(tmp_path: Path) -> None:
    with answering(409, RETIRED) as url:
        leases = lease_keeper_of(config_of(tmp_path, url))
        asking = threading.Thread(target=leases.register_until_known)
        asking.start()
        asking.join(60)
        leases.stop()
        leases.console.close()

    with pytest.raises(TokenRefused, match=f"{tmp_path} is that of a host .* retired: .*another join token"):
        leases.require_accepted()


def test_a_host_that_runs_twice_says_so_until_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def heard(_worker: str, said: Heartbeat) -> HeartbeatAnswer:
        told.append(said.last_error)
        return HeartbeatAnswer()

    console = SimpleNamespace(register=lambda _: REGISTERED, heartbeat=heard)
    config = config_of(tmp_path, "http://c")
    leases = LeaseKeeper(config, cast("Console", console), kinds=(JobKind.SEAL,), slots={})
    replaced = Replaced(status=409, code="worker_replaced", reason="a newer instance", field="boot_id")

    with capture_logs() as lines:
        for _ in range(4):
            leases.register_again(replaced)
            leases.heartbeat()
    monkeypatch.setattr("workers.console.lease_keeper.TWINS_WITHIN_S", -1.0)
    leases.heartbeat()

    assert told[:2] == ["", ""]
    assert told[2] == told[3]
    assert f"another program registers as this host ({config.uid})" in told[3]
    assert told[4] == ""
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["host_runs_twice"]


def test_a_console_that_is_away_is_asked_again(tmp_path: Path) -> None:
    with answering(503, b"{}") as url:
        leases = lease_keeper_of(config_of(tmp_path, url))
        asking = threading.Thread(target=leases.register_until_known)
        asking.start()
        asking.join(0.3)
        was_asking = asking.is_alive()
        leases.stop()
        asking.join(60)
        leases.console.close()

    assert was_asking
    leases.require_accepted()


def test_a_console_that_does_not_understand_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.console.lease_keeper.RETRY_PAUSES_S", (0.01,))
    with answering(400, NEWER) as url, capture_logs() as lines:
        leases = lease_keeper_of(config_of(tmp_path, url))
        asking = threading.Thread(target=leases.register_until_known)
        asking.start()
        asking.join(0.5)
        leases.stop()
        asking.join(60)
        leases.console.close()

    (line,) = (one for one in lines if one["log_level"] in ("warning", "error") and "reason" in one)
    assert line["event"] == "console_does_not_understand"
    assert "upgrade the console first (settings)" in line["reason"]


def test_the_sealer_says_so_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("t\n")
    with answering(401, REFUSAL) as url:
        words = ["--dir", str(tmp_path / "sealer"), "--token-file", str(tmp_path / "token")]
        code = main([*words, "--console", url])

    assert code == 1
    assert f"the console {url} does not accept this token" in capsys.readouterr().err


def test_a_disk_that_cannot_be_read_now_ends_no_registration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.console.lease_keeper.RETRY_PAUSES_S", (0.0,))
    leases = lease_keeper_of(config_of(tmp_path, "http://c"))
    monkeypatch.setattr(leases.console, "register", lambda _: REGISTERED)
    tries = []

    def sectors() -> tuple[SectorOnHost, ...]:
        tries.append(1)
        if len(tries) < 3:
            raise OSError(errno.EIO, "input/output error")
        return ()

    leases.sectors = sectors
    leases.register_until_known()

    assert (leases.registered, len(tries)) == (REGISTERED, 3)


@pytest.mark.parametrize("leaves_bare_folder", [True, False])
def test_a_sealer_whose_disk_is_gone_ends_and_writes_nothing_in_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, leaves_bare_folder: bool
) -> None:
    (tmp_path / "token").write_text("t\n")
    folder, asked = tmp_path / "sealer", threading.Event()

    def disk_take() -> None:
        asked.wait()  # what a start writes is written
        until(lambda: (folder / "log" / "celery.log").exists())
        folder.rename(tmp_path / "disk")
        if leaves_bare_folder:
            folder.mkdir()

    with answering(503, b"{}", asked) as url:
        taking = threading.Thread(target=disk_take)
        taking.start()
        code = main(["--dir", str(folder), "--token-file", str(tmp_path / "token"), "--console", url])
        taking.join()

    assert code == 1
    said = capsys.readouterr().err
    assert f"{folder} is no longer the folder that this worker started in: mount its disk" in said
    assert list(folder.rglob("*")) == []
    assert folder.exists() == leaves_bare_folder


def test_parked_jobs_are_told_after_each_registration_and_then_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, ...]] = []

    def heard(_worker: str, said: Heartbeat) -> HeartbeatAnswer:
        told.append(said.parked)
        return HeartbeatAnswer(over=said.parked[:1], unknown_jobs=said.parked[1:])

    console = SimpleNamespace(register=lambda _: REGISTERED, heartbeat=heard)
    leases = LeaseKeeper(
        config_of(tmp_path, "http://c"), cast("Console", console), kinds=(JobKind.SEAL,), slots={}
    )
    leases.parked = lambda: ("j1", "j2")
    for _ in range(2):
        leases.register()
        leases.heartbeat()
        leases.heartbeat()
    monkeypatch.setattr("workers.console.lease_keeper.PARKED_EVERY_S", -1.0)
    leases.register()
    leases.heartbeat()
    leases.heartbeat()

    assert leases.unknown_jobs() == {"j2"}
    leases.parked = lambda: ("j1",)
    assert leases.unknown_jobs() == set(), "it has been claimed since"
    assert told == [("j1", "j2"), (), ("j1", "j2"), (), ("j1", "j2"), ("j1", "j2")]
    assert leases.over_take() == {"j1"}
    assert leases.over_take() == set()


def test_a_heartbeat_tells_the_form_of_wins_and_hears_the_epoch(tmp_path: Path) -> None:
    with answering(200, json.dumps(document_encode(HeartbeatAnswer(epoch_s=4))).encode()) as url:
        leases = lease_keeper_of(config_of(tmp_path, url))
        assert leases.epoch_s == 0
        leases.report.proofs_report(("vanilla",), parameters=(0, 0), error="", winning=("groth16", 0.8124))
        leases.heartbeat()
        leases.console.close()

    assert leases.epoch_s == 4
    told = leases.report.hardware()
    assert (told.winning_form, told.winning_ms) == ("groth16", 812)


def test_a_bare_folder_under_an_absent_mount_is_not_the_hosts_own(tmp_path: Path) -> None:
    folder = tmp_path / "host"
    folder.mkdir()
    config = config_of(folder, "http://c")
    leases = LeaseKeeper(config, cast("Console", SimpleNamespace()), kinds=(), slots={})
    assert leases.report.hardware().disk_total_bytes > 0

    folder.rename(tmp_path / "away")
    folder.mkdir()

    told = leases.report.hardware()
    assert (told.disk_free_bytes, told.disk_total_bytes) == (0, 0)
