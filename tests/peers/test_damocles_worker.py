"""damocles-worker itself: it seals sectors of ours, of zeros and of clients' data, and proves windows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.acceptance.pool import RunningPool
from tests.integration.pools import SITE, port_free, wait_until
from tests.peers.programs import CACHE, rust_source

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.peer

NAME: Final = "damocles-1"
SEED: Final = "poolsite-devnet"
PARAMETERS_S: Final = 900
"""For the parameters of both proofs; measured four minutes on two cores."""
SEALED_S: Final = 900
"""For a sector by rust-fil-proofs, whose C2 alone takes a minute of both cores."""
WINDOWS_S: Final = 300
"""Some proving periods of the network `test`."""
DATA: Final = bytes(range(256)) * 7 + b"damocles"
"""A client's bytes, which fill most of a sector of 2 KiB."""


@pytest.fixture(scope="module")
def program() -> Path:
    """damocles-worker, out of its repository."""
    assert shutil.which("cargo") is not None, "there is no cargo here, and a Rust program is what is tested"
    url = "https://github.com/ipfs-force-community/damocles"
    return rust_source(url, tag="v0.13.0", folder="damocles-worker", binary="damocles-worker")


@pytest.fixture(scope="module")
def parameters() -> Path:
    """The folder of Groth16 parameters of 2 KiB that worker, prover and chain share."""
    folder = Path(os.environ.get("FIL_PROOFS_PARAMETER_CACHE") or CACHE / "parameters")
    folder.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "FIL_PROOFS_PARAMETER_CACHE": str(folder)}
    for proof in ("porep", "window_post"):
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
) -> Iterator[Path]:
    """The log of a damocles-worker with a sealing thread and one for windows."""
    folder = tmp_path_factory.mktemp("damocles")
    made = sealing.ask(
        "POST", "/api/v1/tokens", json={"name": "damocles", "perm": "write", "scopes": ["sealer"]}
    )
    assert made.status_code == 201, made.text
    token, [store] = made.json()["token"], stores(sealing)
    Path(sealing.env["ADDRESS_TOKENS"].partition("=")[2]).write_text(token)
    place = store["attachments"][0]["path"]
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

[[sealing_thread]]
location = "{folder}/thread"

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
    begin: list[str | Path] = [program, "store", "sealing-init", "-l", folder / "thread"]
    subprocess.run(begin, check=True, capture_output=True, timeout=60, env=env)
    log_path = folder / "log"
    with log_path.open("wb") as log:
        running = subprocess.Popen([program, "daemon", "-c", config], stdout=log, stderr=log, env=env)
        try:
            yield log_path
        finally:
            running.kill()
            running.wait(10)


def words(pool: RunningPool, log: Path) -> str:
    """What worker and pool said last."""
    return f"{log.read_text(errors='replace')[-6000:]}\n{pool.diagnosis()}"


def sealers_of(pool: RunningPool, uuid: str) -> set[str]:
    """Return the hosts that reported a sector's stages."""
    return {row["name"] for row in hosts(pool)} & {row["actor"] for row in pool.sector(uuid)["events"]}


def proven(pool: RunningPool) -> int:
    """Return how many windows' proofs that the worker made are on the chain."""
    sql = (
        "select count(*) from proving_proofattempt attempt"
        " join proving_windowpost post on post.id = attempt.post_id"
        " where attempt.host = %s and attempt.state = 'TAKEN' and post.state = 'LANDED'"
    )
    return int(pool.rows_of(sql, NAME)[0][0])


def test_it_seals_a_sector_of_zeros(sealing: RunningPool, daemon: Path) -> None:
    miner = sealing.miner()
    [uuid] = sealing.pledge(miner)

    wait_until(
        lambda: sealing.sector(uuid)["state"] == "PROVING",
        within_s=SEALED_S,
        what=lambda: words(sealing, daemon),
    )

    assert sealers_of(sealing, uuid) == {NAME}
    sealing.wait_active(miner, {sealing.sector(uuid)["number"]}, within_s=WINDOWS_S)


def test_it_seals_a_clients_piece(sealing: RunningPool, daemon: Path) -> None:
    answer = sealing.ask("POST", f"/api/v1/miners/{sealing.miner()}/pieces", content=DATA)
    assert answer.status_code == 201, answer.text
    path = f"/api/v1/pieces/{answer.json()['piece_cid']}"

    wait_until(lambda: sealing.read(path)["active"], within_s=SEALED_S, what=lambda: words(sealing, daemon))

    own_sealer(sealing, "resume")
    wait_until(
        lambda: sealing.ask("GET", f"{path}/data").status_code == 200,
        within_s=WINDOWS_S,
        what=lambda: words(sealing, daemon),
    )
    assert sealing.ask("GET", f"{path}/data").content == DATA


def test_it_proves_windows_alone(sealing: RunningPool, daemon: Path) -> None:
    with sealing.frozen("prover"):
        before = proven(sealing)
        wait_until(
            lambda: proven(sealing) > before + 1, within_s=WINDOWS_S, what=lambda: words(sealing, daemon)
        )
