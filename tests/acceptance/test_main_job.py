"""The main job against one running pool, and a kill on the way: the quick part of what `make soak` does."""

from __future__ import annotations

import time

import pytest

from tests.acceptance.chain import POST_METHOD, whole_history_require
from tests.acceptance.kill_points import TO_THE_COMMIT, seal_through
from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool, dice
from tests.integration.pools import crowding, wait_until

pytestmark = pytest.mark.xdist_group("pool")

STAGES = ["ADD_PIECE", "TREE_D", "TICKET", "PC1", "PC2", "PERSIST", "PRECOMMIT", "PRECOMMIT_WAIT"]
STAGES += ["WAIT_SEED", "C1", "C2", "COMMIT", "COMMIT_WAIT", "FINALIZE"]


def test_a_pledged_sector_passes_every_stage_and_becomes_active(shared_pool: RunningPool) -> None:
    pool = shared_pool
    miner = pool.wait_miner()
    began = time.monotonic()
    [uuid] = pool.pledge(miner)

    pool.wait_state(uuid, "PROVING")
    sealed_s = time.monotonic() - began
    pool.wait_active(miner, {0}, within_s=SEALED_S + PERIOD_S)
    active_s = time.monotonic() - began
    print(f"sealed after {sealed_s:.1f} s, active after {active_s:.1f} s")

    assert active_s < (120 + PERIOD_S) * crowding()
    wait_until(lambda: pool.sector(uuid)["active"], within_s=10, what="active over REST too")
    sector = pool.sector(uuid)
    assert [event["stage"] for event in sector["events"]] == STAGES
    assert [entry["kind"] for entry in sector["messages"]] == ["precommit", "commit"]
    for entry in sector["messages"]:
        message = pool.read(f"/api/v1/messages/{entry['id']}")
        assert message["state"] == "LANDED"
        assert message["cid"] == entry["cid"]
        assert message["receipt"]["exit_code"] == 0
    whole_history_require(pool.chain, miner=miner, numbers={0})


@pytest.mark.parametrize(
    "name",
    ["tasks", *(pytest.param(name, marks=pytest.mark.slow) for name in ("postgres", "sealer-kernels"))],
)
def test_a_kill_on_a_sectors_way_does_not_stop_it(shared_pool: RunningPool, name: str) -> None:
    rng = dice()
    seal_through(shared_pool, name, [rng.choice(TO_THE_COMMIT)], rng)


@pytest.mark.slow
def test_all_of_them_are_active_and_proved_in_every_period(shared_pool: RunningPool) -> None:
    pool = shared_pool
    miner = pool.wait_miner()
    pool.wait_active(miner, pool.chain.sectors(miner), within_s=2 * PERIOD_S)
    activation = min(
        int(row["Activation"]) for row in pool.chain.call("StateMinerSectors", miner, None, None)
    )
    wait_until(
        lambda: pool.chain.height() > activation + 2 * PERIOD_S + 10,
        within_s=3 * PERIOD_S,
        what="two whole periods",
    )

    executed = whole_history_require(pool.chain, miner=miner, numbers=pool.chain.sectors(miner))

    proofs = [row for row in executed if row.to == miner and row.method == POST_METHOD]
    assert len(proofs) >= 2
    assert {row.exit_code for row in proofs} == {0}
