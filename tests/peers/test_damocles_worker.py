"""damocles-worker itself: it seals, fills sectors, makes lost ones again, unseals, and proves windows."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.pipeline_walks import posted
from tests.acceptance.pool import PERIOD_S, RunningPool
from tests.integration.pools import SITE, wait_until
from tests.peers.programs import CACHE, built_program
from tests.servers import port_free

pytestmark = pytest.mark.peer

NAME: Final = "damocles-1"
SEED: Final = "poolsite-devnet"
PARAMETERS_S: Final = 900
"""For the parameters of the three proofs; measured three minutes on two cores."""
SEALED_S: Final = 900
"""For a sector by rust-fil-proofs, whose C2 alone takes a minute of both cores."""
WINDOWS_S: Final = 300
"""Some proving periods of the network `test`."""
DATA: Final = bytes(range(256)) * 7 + b"damocles"
"""A client's bytes, which fill most of a sector of 2 KiB."""
SNAPPED: Final = bytes(range(255, -1, -1)) * 3 + b"snapped"
"""Those of another, for a sector that is committed."""
PLANS: Final = ("sealer", "snapup", "rebuild", "unseal")
"""Of threads with a folder each."""
DONE_S: Final = 600
"""For a snap-up, whose proof takes half a minute of both cores, or a rebuild, until the chain has it."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A damocles-worker that runs."""

    process: subprocess.Popen[bytes]
    log: Path
    """What it says."""

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Hold it still."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def program() -> Path:
    """damocles-worker itself."""
    shows = "it seals, snaps up, rebuilds, unseals and proves windows for the pool"
    return built_program("damocles-worker", version="v0.13.0", shows=shows)


@pytest.fixture(scope="module")
def parameters() -> Path:
    """The folder of Groth16 parameters of 2 KiB that worker, prover and chain share."""
    folder = Path(os.environ.get("FIL_PROOFS_PARAMETER_CACHE") or CACHE / "parameters")
    folder.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "FIL_PROOFS_PARAMETER_CACHE": str(folder)}
    for proof in ("porep", "window_post", "update"):
        prepare = ["-m", "workers", "params", "prepare", proof, "--size", "2KiB", "--seed", SEED]
        command = [sys.executable, *prepare]
        subprocess.run(command, check=True, capture_output=True, cwd=SITE, timeout=PARAMETERS_S, env=env)
    return folder


@pytest.fixture(scope="module")
def port() -> int:
    """Where the pool answers as damocles-manager; 1789 outside tests."""
    return port_free()


@pytest.fixture(scope="module")
def sealing(parameters: Path, port: int, tmp_path_factory: Any) -> Iterator[RunningPool]:
    """A pool with parameters and a token for this machine; its own sealer gets no sectors."""
    token = tmp_path_factory.mktemp("token") / "damocles"
    token.write_text("made-below")
    env: dict[str, Any] = {
        "FIL_PROOFS_PARAMETER_CACHE": str(parameters),
        "COMPAT_PORTS": str(port),
        "ADDRESS_TOKENS": f"127.0.0.1={token}",
    }
    with RunningPool(**env) as running:
        running.wait_miner()
        wait_until(lambda: stores(running), within_s=120, what=running.diagnosis)
        own_sealer(running, "pause")
        yield running


def hosts(pool: RunningPool, name: str = "") -> list[dict[str, Any]]:
    """Return the pool's hosts, or that of a name."""
    rows = pool.read("/api/v1/workers")["results"]
    return [row for row in rows if name in ("", row["name"])]


def own_sealer(pool: RunningPool, op: str) -> None:
    """Pause or resume the pool's own sealer, and wait until it has."""
    [own] = [row for row in hosts(pool) if "seal" in row["kinds"] and row["name"] != NAME]
    answer = pool.ask("POST", f"/api/v1/workers/{own['uuid']}/commands", json={"op": op})
    assert answer.status_code == 201, answer.text
    is_paused = op == "pause"
    wait_until(lambda: hosts(pool, own["name"])[0]["paused"] == is_paused, within_s=60, what=pool.diagnosis)


def stores(pool: RunningPool) -> list[dict[str, Any]]:
    """Return the pool's stores that a host has attached."""
    return [row for row in pool.read("/api/v1/stores")["results"] if row["attachments"]]


@pytest.fixture(scope="module")
def daemon(
    program: Path, sealing: RunningPool, port: int, parameters: Path, tmp_path_factory: Any
) -> Iterator[Daemon]:
    """A damocles-worker with a thread for each of its plans but the one for NI-PoRep."""
    folder = tmp_path_factory.mktemp("damocles")
    made = sealing.ask(
        "POST", "/api/v1/tokens", json={"name": "damocles", "perm": "write", "scopes": ["sealer"]}
    )
    assert made.status_code == 201, made.text
    token, [store] = made.json()["token"], stores(sealing)
    Path(sealing.env["ADDRESS_TOKENS"].partition("=")[2]).write_text(token)
    place = store["attachments"][0]["path"]
    threads = "".join(
        f'[[sealing_thread]]\nlocation = "{folder}/{plan}"\nplan = "{plan}"\n' for plan in PLANS
    )
    config = folder / "worker.toml"
    config.write_text(f"""
[worker]
name = "{NAME}"
rpc_server.host = "127.0.0.1"
rpc_server.port = {port_free()}
ping_interval = "2s"

[sector_manager]
rpc_client.addr = "/ip4/127.0.0.1/tcp/{port}"
piece_token = "{token}"

[sealing]
enable_deals = true
seal_interval = "1s"
recover_interval = "1s"
rpc_polling_interval = "1s"

{threads}
[[sealing_thread]]
plan = "wdpost"

[[attached]]
name = "{store["name"]}"
location = "{place}"
""")
    env = {
        **os.environ,
        "FIL_PROOFS_PARAMETER_CACHE": str(parameters),
        "FIL_PROOFS_PARENT_CACHE": str(folder / "parents"),
        "BELLMAN_NO_GPU": "1",
        "RUST_LOG": "info",
    }
    places = [folder / plan for plan in PLANS]
    begin: list[str | Path] = [program, "store", "sealing-init", "-l", *places]
    subprocess.run(begin, check=True, capture_output=True, timeout=60, env=env)
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([program, "daemon", "-c", config], stdout=log, stderr=log, env=env)
        try:
            yield Daemon(running, folder / "log")
        finally:
            running.kill()
            running.wait(10)


def words(pool: RunningPool, daemon: Daemon) -> str:
    """What worker and pool said last."""
    return f"{daemon.log.read_text(errors='replace')[-6000:]}\n{pool.diagnosis()}"


@contextmanager
def own_sealer_works(pool: RunningPool) -> Iterator[None]:
    """Resume the pool's own sealer, and pause it again at the end."""
    own_sealer(pool, "resume")
    try:
        yield
    finally:
        own_sealer(pool, "pause")


def makers_of(pool: RunningPool, uuid: str, kind: str) -> set[str]:
    """Return the hosts that reported stages of one kind of job over a sector."""
    sql = (
        "select distinct event.actor from sectors_jobevent event"
        " join sectors_job job on job.id = event.job_id"
        " left join sectors_sector sector on sector.id = job.sector_id"
        " where event.seq is not null and job.kind = %s"
        " and (sector.uuid::text = %s or job.inputs ->> 'sector' = %s)"
    )
    return {row[0] for row in pool.rows_of(sql, kind, uuid, uuid)}


def run_reaches(pool: RunningPool, uuid: str, daemon: Daemon, *states: str) -> None:
    """Wait until the newest run over a sector is in one of these states; its error ends the wait."""

    def newest() -> dict[str, Any]:
        entry: dict[str, Any] = pool.read(f"/api/v1/sectors/{uuid}/runs")["results"][0]
        assert not entry["paused"], f"{entry}\n{words(pool, daemon)}"
        return entry

    wait_until(
        lambda: newest()["state"] in states,
        within_s=DONE_S,
        what=lambda: f"{states}: {newest()}\n{words(pool, daemon)}",
    )


def uploaded(pool: RunningPool, data: bytes, purpose: str) -> str:
    """Bring a client's bytes; gives the path of the piece."""
    made = posted(pool, f"miners/{pool.miner()}/pieces?purpose={purpose}", content=data)
    return f"/api/v1/pieces/{made['piece_cid']}"


def unsealed(pool: RunningPool, uuid: str, piece: str, daemon: Daemon) -> bytes:
    """Remove the bytes that the pool keeps of a sector's piece, and have them unsealed."""
    assert pool.ask("DELETE", f"/api/v1/sectors/{uuid}/unsealed").status_code < 300
    assert pool.ask("GET", f"{piece}/data").status_code == 202
    wait_until(
        lambda: pool.ask("GET", f"{piece}/data").status_code == 200,
        within_s=WINDOWS_S,
        what=lambda: words(pool, daemon),
    )
    return pool.ask("GET", f"{piece}/data").content


def replica_of(pool: RunningPool, uuid: str, folder: str) -> Path:
    """Return where a sector's replica lies in the pool's store; `folder` is `sealed` or `update`."""
    root, number = Path(stores(pool)[0]["attachments"][0]["path"]), pool.sector(uuid)["number"]
    return root / folder / f"s-t{pool.miner()[1:]}-{number}"


def lose(replica: Path) -> None:
    """Remove a replica and its cache."""
    cache = {"sealed": "cache", "update": "update-cache"}[replica.parent.name]
    replica.unlink()
    shutil.rmtree(replica.parent.with_name(cache) / replica.name)


def sealed_cid(pool: RunningPool, uuid: str) -> str:
    """Return the commitment of a sector's replica that the chain has."""
    number = pool.sector(uuid)["number"]
    return str(pool.chain.call("StateSectorGetInfo", pool.miner(), number, None)["SealedCID"]["/"])


def proves_on(pool: RunningPool, uuid: str) -> None:
    """Require that a sector is active when two proving periods have passed, so that its window was proven."""
    end = pool.chain.height() + 2 * PERIOD_S
    wait_until(lambda: pool.chain.height() > end, within_s=3 * PERIOD_S, what=pool.diagnosis)
    number = pool.sector(uuid)["number"]
    assert number in pool.chain.active(pool.miner())
    assert number not in pool.chain.faulty(pool.miner())


def replica_is_made_again(pool: RunningPool, uuid: str, daemon: Daemon, folder: str) -> None:
    """Lose a replica, have it rebuilt, and require the same bytes by this worker alone."""
    replica, before = replica_of(pool, uuid, folder), sealed_cid(pool, uuid)
    content = replica.read_bytes()
    lose(replica)
    posted(pool, f"sectors/{uuid}/rebuild")
    run_reaches(pool, uuid, daemon, "REBUILT")
    assert makers_of(pool, uuid, "rebuild") == {NAME}
    assert replica.read_bytes() == content
    assert sealed_cid(pool, uuid) == before
    proves_on(pool, uuid)


def proven(pool: RunningPool) -> int:
    """Return how many windows' proofs that the worker made are on the chain."""
    sql = (
        "select count(*) from proving_proofattempt attempt"
        " join proving_windowpost post on post.id = attempt.post_id"
        " where attempt.host = %s and attempt.state = 'USED' and post.state = 'LANDED'"
    )
    return int(pool.rows_of(sql, NAME)[0][0])


@pytest.fixture(scope="module")
def zeros(sealing: RunningPool, daemon: Daemon) -> str:
    """A sector of zeros that it has sealed, active."""
    miner = sealing.miner()
    [uuid] = sealing.pledge(miner)
    wait_until(
        lambda: sealing.sector(uuid)["state"] == "PROVING",
        within_s=SEALED_S,
        what=lambda: words(sealing, daemon),
    )
    sealing.wait_active(miner, {sealing.sector(uuid)["number"]}, within_s=WINDOWS_S)
    return uuid


@pytest.fixture(scope="module")
def snapped(sealing: RunningPool, daemon: Daemon, zeros: str) -> tuple[str, str]:
    """That sector, once it has put a client's piece into it, and the path of the piece."""
    before, piece = sealed_cid(sealing, zeros), uploaded(sealing, SNAPPED, "snap-up")
    posted(sealing, f"sectors/{zeros}/snap-up", json={"pieces": [piece.rpartition("/")[2]]})
    run_reaches(sealing, zeros, daemon, "UPDATE_LANDED", "UPDATE_FINAL")
    assert makers_of(sealing, zeros, "snap_up") == {NAME}
    assert sealed_cid(sealing, zeros) != before
    with own_sealer_works(sealing):  # which alone may clear the old replica
        run_reaches(sealing, zeros, daemon, "SNAPPED")
    return zeros, piece


@pytest.fixture(scope="module")
def filled(sealing: RunningPool, daemon: Daemon) -> tuple[str, str]:
    """A sector that it has sealed with a client's piece, and the path of the piece."""
    piece = uploaded(sealing, DATA, "any")
    wait_until(lambda: sealing.read(piece)["active"], within_s=SEALED_S, what=lambda: words(sealing, daemon))
    number = sealing.read(piece)["sector"]
    [row] = sealing.read(f"/api/v1/sectors?number={number}")["results"]
    return row["uuid"], piece


def test_it_seals_a_sector_of_zeros(sealing: RunningPool, zeros: str) -> None:
    assert makers_of(sealing, zeros, "seal") == {NAME}


def test_it_seals_a_clients_piece(sealing: RunningPool, daemon: Daemon, filled: tuple[str, str]) -> None:
    uuid, piece = filled
    assert makers_of(sealing, uuid, "seal") == {NAME}
    with own_sealer_works(sealing), daemon.frozen():
        assert unsealed(sealing, uuid, piece, daemon) == DATA


def test_it_unseals_a_piece(sealing: RunningPool, daemon: Daemon, filled: tuple[str, str]) -> None:
    uuid, piece = filled
    assert unsealed(sealing, uuid, piece, daemon) == DATA
    assert NAME in makers_of(sealing, uuid, "unseal")


def test_it_makes_a_lost_replica_again(sealing: RunningPool, daemon: Daemon, filled: tuple[str, str]) -> None:
    replica_is_made_again(sealing, filled[0], daemon, "sealed")


def test_it_puts_a_clients_piece_into_a_sector(
    sealing: RunningPool, daemon: Daemon, snapped: tuple[str, str]
) -> None:
    uuid, piece = snapped
    assert sealing.read(piece)["active"]
    proves_on(sealing, uuid)
    with own_sealer_works(sealing):  # a damocles-worker unseals no updated replica
        assert unsealed(sealing, uuid, piece, daemon) == SNAPPED


def test_it_makes_a_lost_updated_replica_again(
    sealing: RunningPool, daemon: Daemon, snapped: tuple[str, str]
) -> None:
    replica_is_made_again(sealing, snapped[0], daemon, "update")


def test_it_proves_windows_alone(sealing: RunningPool, daemon: Daemon) -> None:
    with sealing.frozen("prover"):
        before = proven(sealing)
        wait_until(
            lambda: proven(sealing) > before + 1, within_s=WINDOWS_S, what=lambda: words(sealing, daemon)
        )
