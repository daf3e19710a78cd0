"""Two sealing workers of one pool: one without a slot for C2, and one that does C2 alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.messager import token_for
from tests.acceptance.pool import PERIOD_S, RunningPool
from tests.integration.pools import SITE, wait_until

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

SEALED_S: Final = 300


@contextlib.contextmanager
def guest_run(pool: RunningPool, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker with a folder and a store of its own, that does C2 and nothing else."""
    token = folder / "token"
    token.write_text(token_for(pool, "pool", perm="write", scopes=["sealer"]))
    words = ["--dir", str(folder / "guest"), "--store", str(folder / "store"), "--token-file", str(token)]
    words += ["--console", f"http://127.0.0.1:{pool.port}", "--name", "guest", "--slots", "only,c2=1"]
    guest = subprocess.Popen(
        [sys.executable, "-m", "workers", "sealer", *words, "--snark", "vanilla"],
        cwd=SITE,
        env=os.environ | {"POOLSITE_VAR": str(pool.var)},
        text=True,
    )
    try:
        yield guest
    finally:
        guest.send_signal(signal.SIGINT)
        guest.wait(60)


def reported(pool: RunningPool) -> dict[str, str]:
    """Which worker reported which stage."""
    return dict(
        pool.rows_of(
            "select event.event, worker.name from sectors_jobevent event join sectors_worker worker"
            " on worker.id = event.worker_id order by event.id"
        )
    )


def test_one_worker_labels_and_another_makes_the_proof(tmp_path: Path) -> None:
    pool = RunningPool()
    own = pool.var / "sealer"
    own.mkdir(parents=True)
    (own / "config.toml").write_text("[slots]\nc2 = 0\n")
    with pool:
        miner = pool.wait_miner()
        (uuid,) = pool.pledge(miner)
        pool.wait_state(uuid, "C1_DONE", within_s=SEALED_S)
        kept = pool.var / "c1"
        assert len(list(kept.iterdir())) == 1
        with guest_run(pool, tmp_path) as guest:
            pool.wait_state(uuid, "PROVING", within_s=SEALED_S)
            assert guest.poll() is None
        pool.wait_active(miner, {0}, within_s=2 * PERIOD_S)
        by = reported(pool)
        assert by.pop("C2") == "guest"
        assert len(set(by.values())) == 1, by
        wait_until(lambda: not list(kept.iterdir()), within_s=10, what="the output of C1 is removed")
        assert not list((tmp_path / "store").rglob("s-t0*"))
