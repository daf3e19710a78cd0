"""A sealing host that keeps layers on drives seals its pool's sectors, through kills of its kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.chain import whole_history_require
from tests.acceptance.kill_points import SEALING, strike
from tests.acceptance.pool import PERIOD_S, RunningPool, dice, drives_name
from workers.storage.page_drives import FILE_NAME, KIND

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

SECTORS = 6
SEALED_S = 300


def test_sectors_whose_layers_lay_on_drives_become_active(tmp_path: Path) -> None:
    pool, rng = RunningPool(), dice()
    drives, own = drives_name(pool, tmp_path), pool.var / "sealer"
    with pool:
        miner = pool.wait_miner()
        uuids = pool.pledge(miner, SECTORS)
        strike(pool, "sealer-kernels", SEALING, uuid=uuids[0], rng=rng)
        for uuid in uuids:
            pool.wait_state(uuid, "PROVING", within_s=SEALED_S)
        pool.wait_active(miner, set(range(SECTORS)), within_s=2 * PERIOD_S)
        whole_history_require(pool.chain, miner=miner, numbers=set(range(SECTORS)))

        assert not list(own.rglob("sc-02-data-layer-*")), "layers became files of each sector"
        assert not list(own.rglob("layers.json")), "a sector's layers are still said to be needed"
        [later] = pool.pledge(miner)
        pool.wait_state(later, "PROVING", within_s=SEALED_S)
        assert len(list((own / "layers").glob("*.json"))) == 1, "the earlier batches gave their room back"
        for drive in drives:
            assert KIND in (drive / FILE_NAME).read_bytes()[:4096].decode(errors="replace")
