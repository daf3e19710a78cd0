"""sophon-miner itself: its command line against our port, and its daemon on our chain through our hub."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.pool import SEALED_S, RunningPool
from tests.integration.pools import wait_until
from tests.servers import port_free

pytestmark = pytest.mark.peer

SECTORS: Final = 8
"""Of 2 KiB, beside 256 of the built-in miner: a win in seven epochs."""
PERIOD_S: Final = 24 * 8 * 2
"""Proving period of the network `demo`."""
WINS_S: Final = 240


@pytest.fixture(scope="module")
def miner_port() -> int:
    """Where the pool answers as sophon-miner; 12308 outside tests."""
    return port_free()


@pytest.fixture(scope="module")
def mining(miner_port: int) -> Iterator[RunningPool]:
    """A pool whose miner has had power long enough to win."""
    with RunningPool(POOLSITE_NETWORK="demo", COMPAT_PORTS=str(miner_port)) as running:
        miner = running.wait_miner()
        running.pledge(miner, SECTORS)
        running.wait_active(miner, set(range(SECTORS)), within_s=SECTORS * SEALED_S + PERIOD_S)
        wait_until(lambda: wins(running), within_s=WINS_S, what=running.diagnosis)
        yield running


def wins(pool: RunningPool) -> list[dict[str, Any]]:
    """The rounds that our own service has won and that are on the chain."""
    rows = pool.read(f"/api/v1/miners/{pool.miner()}/rounds?limit=1000")["results"]
    return [row for row in rows if row["won"] and row["outcome"] == "INCLUDED"]


@pytest.fixture(scope="module")
def command(
    sophon_miner: Path, mining: RunningPool, miner_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Run a command against us; the result is what it printed."""
    folder = tmp_path_factory.mktemp("sophon-miner")
    (folder / "config.toml").touch()
    (folder / "api").write_text(f"/ip4/127.0.0.1/tcp/{miner_port}")
    (folder / "token").write_text(mining.operator["admin_token"])

    def give(*words: str) -> str:
        line: list[str | Path] = [sophon_miner, "--repo", folder, *words]
        done = subprocess.run(line, capture_output=True, text=True, timeout=180, check=False)
        return done.stdout + done.stderr

    return give


def test_addresses_and_their_state(mining: RunningPool, command: Callable[..., str]) -> None:
    miner = mining.miner()
    info = {"Addr": miner, "Id": "pool", "Name": "pool", "OpenMining": True}

    assert json.loads(command("address", "list")) == [info]
    assert json.loads(command("address", "update")) == [info]
    [state] = json.loads(command("address", "state", miner))
    assert (state["Addr"], state["IsMining"]) == (miner, True)
    assert json.loads(command("address", "state")) == [state]
    assert "f09999 not exist" in command("address", "start", "f09999")


def test_start_and_stop(mining: RunningPool, command: Callable[..., str]) -> None:
    miner = mining.miner()

    assert "stop mining success." in command("address", "stop", miner)
    assert [row["IsMining"] for row in json.loads(command("address", "state"))] == [False]
    assert json.loads(command("address", "update")) == []
    assert "start mining success." in command("address", "start", miner)
    assert [row["IsMining"] for row in json.loads(command("address", "state"))] == [True]


def test_warm_up(mining: RunningPool, command: Callable[..., str]) -> None:
    assert "warmup success." in command("address", "warmup", mining.miner())
    assert "warmup failed:  f09999 not exist" in command("address", "warmup", "f09999")


def test_winners_are_those_of_our_rounds(mining: RunningPool, command: Callable[..., str]) -> None:
    last = wins(mining)[0]["height"]
    first = max(last - 40, 1)
    span = ("--epoch-start", str(first), "--epoch-end", str(last - 1))

    [counted] = json.loads(command("winner", "count", *span, mining.miner()))

    rows = mining.read(f"/api/v1/miners/{mining.miner()}/rounds?limit=1000")["results"]
    won = {row["height"]: row["won"] for row in rows if row["won"] and first < row["height"] <= last}
    drawn = {row["height"] for row in rows}
    told = {one["epoch"]: one["winCount"] for one in counted["winEpochList"] if one["winCount"]}
    assert won
    assert {epoch: count for epoch, count in told.items() if epoch in drawn} == won
    assert counted["totalWinCount"] == sum(told.values())
    beyond = ("--epoch-start", "1", "--epoch-end", "99999999")
    assert "start or end greater than cur tipset height" in command("winner", "count", *beyond)


def test_records(mining: RunningPool, command: Callable[..., str]) -> None:
    win, miner = wins(mining)[0], mining.miner()

    [record] = json.loads(command("record", "query", miner, str(win["height"])))

    assert (record["miner"], record["epoch"]) == (miner, str(win["height"]))
    assert (record["winCount"], record["isEligible"]) == (str(win["won"]), "true")
    assert record["baseEpoch"] == str(win["base_height"])
    for step in ("getBaseInfo", "computeTicket", "computeElectionProof", "computePostProof", "createBlock"):
        assert re.fullmatch(r"\d+ms", record[step]), step
    assert "query exceed MaxRecordPerQuery(288)" in command("record", "query", "--limit", "289", miner, "1")


@pytest.fixture
def daemon(sophon_miner: Path, mining: RunningPool, tmp_path: Path) -> Iterator[Path]:
    """The log of a sophon-miner that mines for our miner."""
    console, token = f"/ip4/127.0.0.1/tcp/{mining.port}", mining.operator["admin_token"]
    repo, log_path = tmp_path / "repo", tmp_path / "log"
    words = [f"--api={console}", f"--token={token}", f"--auth-api=http://127.0.0.1:{mining.port}"]
    words += [f"--gateway-api={console}", "--slash-filter=local", f"--listen=127.0.0.1:{port_free()}"]
    begin: list[str | Path] = [sophon_miner, "--repo", repo, "init", *words]
    subprocess.run(begin, check=True, capture_output=True, timeout=60)
    with log_path.open("wb") as log:
        run: list[str | Path] = [sophon_miner, "--repo", repo, "run", "--nosync"]
        running = subprocess.Popen(run, stdout=log, stderr=log)
        try:
            yield log_path
        finally:
            running.kill()
            running.wait(10)


def on_chain(pool: RunningPool, cids: list[tuple[int, str]]) -> list[str]:
    """Return those of these blocks, by height and CID, that the chain has."""
    tipsets = {height: pool.chain.call("ChainGetTipSetByHeight", height, []) for height, _ in cids}
    return [cid for height, cid in cids if {"/": cid} in tipsets[height]["Cids"]]


def mined(log: Path, pool: RunningPool) -> list[tuple[int, str]]:
    """Return the blocks, by height and CID, that the daemon says it made, of epochs that are over."""
    head = int(pool.chain.call("ChainHead")["Height"])
    found = re.findall(
        r'mined new block\t\{"cid": "(\w+)", "height": "(\d+)"', log.read_text(errors="replace")
    )
    return [(int(height), cid) for cid, height in found if int(height) < head - 1]


def test_the_real_daemon_makes_blocks_on_our_chain_through_our_hub(mining: RunningPool, daemon: Path) -> None:
    """Alone it makes a block of each win; beside our service the signer lets one of both sign."""
    words = lambda: daemon.read_text(errors="replace")[-4000:]  # noqa: E731
    with mining.frozen("blocks"):
        wait_until(lambda: len(mined(daemon, mining)) >= 2, within_s=WINS_S, what=words)
        made = mined(daemon, mining)
        assert len(on_chain(mining, made)) >= len(made) - 1  # one may be late on a busy machine

    def met() -> bool:
        guarded = mining.rows_of("SELECT 1 FROM blocks_round WHERE state = 'SLASH_GUARD'")
        return bool(guarded) or "double-fork fault" in daemon.read_text(errors="replace")

    wait_until(met, within_s=WINS_S, what=words)
    info = mining.chain.call("StateMinerInfo", mining.miner(), [])
    assert info["ConsensusFaultElapsed"] == -1
