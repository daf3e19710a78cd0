"""`make worker`: a sealing host in a checkout and an environment of its own seals for a console elsewhere."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.chain import whole_history_require
from tests.acceptance.messager import token_for
from tests.acceptance.pool import PERIOD_S, RunningPool, command_of, descendants
from tests.integration.pools import SITE, wait_until
from tests.servers import port_free

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

READY_S: Final = 600
"""A new environment is made and the kernels are compiled in it; measured 40 to 90 s."""

LEFT_OUT: Final = "devnet,follower,tasks,tasks-slow,signer-init,signer,bootstrap-miner,sealer,prover"
"""Whoever a start that is refused does not need."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed tree in another folder."""
    folder = tmp_path_factory.mktemp("elsewhere") / "poolsite"
    subprocess.run(["git", "clone", "--quiet", str(SITE), str(folder)], check=True)
    return folder


@contextlib.contextmanager
def worker_run(checkout: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`make worker` with these words, as at a terminal; Ctrl-C ends it."""
    worker = subprocess.Popen(
        ["make", "worker", *words],
        cwd=checkout,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield worker
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGINT)
        worker.communicate(timeout=60)


def refused(checkout: Path, *words: str) -> str:
    """What `make worker` says when it cannot begin."""
    with worker_run(checkout, *words) as worker:
        said, _ = worker.communicate(timeout=READY_S)
    assert worker.returncode != 0
    return said


def test_a_sector_is_sealed_by_a_worker_from_another_checkout(checkout: Path, tmp_path: Path) -> None:
    with RunningPool(POOLSITE_DISABLE="sealer") as pool:
        miner = pool.wait_miner()
        token = tmp_path / "token"
        token.write_text(token_for(pool, "pool", perm="write", scopes=["sealer"]))
        [uuid] = pool.pledge(miner)
        words = [
            f"CONSOLE=http://127.0.0.1:{pool.port}",
            f"TOKEN_FILE={token}",
            f"STORE={pool.var / 'store'}",
        ]
        with worker_run(checkout, *words) as worker:
            pool.wait_state(uuid, "PROVING", within_s=READY_S)
            below = descendants(worker.pid)
            programs = [command_of(pid).partition(" ")[0] for pid in below]
        active_s = pool.wait_active(miner, {0}, within_s=2 * PERIOD_S)
        print(f"active {active_s:.1f} s after the worker was gone; it was {sorted(set(programs))}")

        whole_history_require(pool.chain, miner=miner, numbers={0})
        assert str(checkout / ".venv-worker" / "bin" / "python") in {
            str(checkout / word) if word.startswith(".venv") else word for word in programs
        }
        wait_until(lambda: not any(map(command_of, below)), within_s=10, what="nothing left of the worker")


def test_what_is_missing_or_wrong_is_said_in_a_sentence(checkout: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("nonsense")

    assert "make worker needs CONSOLE=https://... and TOKEN=text or TOKEN_FILE=path" in refused(checkout)
    said = refused(checkout, "CONSOLE=localhost", f"TOKEN_FILE={token}")
    assert "the console's address is 'localhost': use http://host:port" in said
    said = refused(checkout, "CONSOLE=http://127.0.0.1:1", f"TOKEN_FILE={tmp_path / 'none'}")
    assert "cannot be read: No such file or directory" in said
    with RunningPool(has_kernels=False, POOLSITE_DISABLE=LEFT_OUT) as pool:
        said = refused(checkout, f"CONSOLE=http://127.0.0.1:{pool.port}", f"TOKEN_FILE={token}")
        assert "does not accept this token: this token is not registered here" in said
    nobody = f"CONSOLE=http://127.0.0.1:{port_free()}"
    with worker_run(checkout, nobody, f"TOKEN_FILE={token}") as worker:
        assert worker.stdout is not None
        heard = next(line for line in worker.stdout if "console_away" in line)
    assert "does not answer: ConnectError" in heard
