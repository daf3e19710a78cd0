"""Kill -9 at each stage of what is done with proving sectors: the real processes of a running pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from poolsite.wire.pipeline import PIPELINES, Owner
from tests.acceptance.pipeline_walks import (
    EXTENSION,
    LAST,
    REBUILD,
    SEALED,
    SNAP_UP,
    TERMINATION,
    UNSEALED,
    WALKS,
    Walk,
    data_of,
    piece_of,
    walk_through,
)
from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool, dice, drives_name
from tests.acceptance.walk_kills import DYING, killed_through, pairs_of
from tests.integration.pools import wait_until
from tests.piece_store import piece_store

pytestmark = pytest.mark.xdist_group("pool")

EVERY = (SEALED, EXTENSION, REBUILD, SNAP_UP, UNSEALED, TERMINATION)
"""A walk of each table."""
WALKS_MAX = 2 * len(DYING)
"""A state that is over before a killed process is back, or between two looks on a fast machine, is left for
the next walk."""
SNAPPED = (
    "select uuid::text from sectors_sector where active and state = 'PROVING' and key_comm_r is not null"
    " and paused_at is null order by number desc limit 1"
)

ACTIVE_OF_ZEROS = (
    "select uuid::text from sectors_sector sector"
    " where active and state = 'PROVING' and key_comm_r is null and paused_at is null"
    " and not exists (select 1 from sectors_pipelinerun run where run.sector_id = sector.id)"
    " order by number limit 1"
)

PLACE = (
    "select piece.sector_number, piece.offset from pieces_piece piece join sectors_sector sector"
    " on sector.miner_id = piece.miner_id and sector.number = piece.sector_number where sector.uuid = %s"
)


def fresh_sector(pool: RunningPool, *, count: int = 1) -> str:
    """An active sector of zeros over which nothing was done; if there is none, so many are sealed now."""
    rows = pool.rows_of(ACTIVE_OF_ZEROS)
    if rows:
        return str(rows[0][0])
    uuid = pool.pledge(pool.wait_miner(), count=count)[0]
    within_s = SEALED_S + 2 * PERIOD_S
    wait_until(lambda: pool.sector(uuid).get("active"), within_s=within_s, what=pool.diagnosis)
    return uuid


@pytest.mark.slow
def test_a_kill_in_each_pipeline_stops_none_and_sends_nothing_twice(shared_pool: RunningPool) -> None:
    pool, rng = shared_pool, dice()
    uuid = fresh_sector(pool)

    for walk in WALKS:
        state, _ = rng.choice(walk.stages)
        walk_through(pool, walk, uuid, state=state, rng=rng)

    assert pool.ask("GET", f"/api/v1/pieces/{piece_of(pool, uuid)}/data").content == data_of(uuid)
    market_served(pool, uuid, killed=rng.choice(("sealer", "tasks", "tasks-slow")))
    wait_until(lambda: pool.sector(uuid).get("active"), within_s=3 * PERIOD_S, what=pool.diagnosis)


def market_served(pool: RunningPool, uuid: str, *, killed: str) -> None:
    """A market asks over the gateway for a range of what is sealed, and has it though a process dies."""
    assert pool.ask("DELETE", f"/api/v1/sectors/{uuid}/unsealed").status_code < 300
    [(number, offset)] = pool.rows_of(PLACE, uuid)
    with piece_store() as market:
        assert "error" not in pool.rpc("Gateway.RegisterReverse", "DROPLET", market.url)
        cid = piece_of(pool, uuid)
        dest = f"market://main/{cid}"
        order = [pool.miner(), {"/": cid}, number, offset * 127 // 128 + 100, 800, dest]
        assert pool.rpc("Gateway.SectorsUnsealPiece", *order)["result"] == "set_up"
        pool.kill(killed)
        wait_until(
            lambda: pool.rpc("Gateway.SectorsUnsealPiece", *order).get("result") == "finished",
            within_s=SEALED_S,
            what=pool.diagnosis,
        )
        pool.rpc("Gateway.RegisterReverse", "DROPLET", "")
    path, authorization, body = market.puts[-1]
    assert (path, body) == (f"/resource?resource-id={cid}&store=main", (data_of(uuid) + bytes(800))[100:900])
    assert authorization.startswith("Bearer ")


@pytest.fixture(scope="module")
def walked_pool() -> Iterator[RunningPool]:
    """A pool whose sectors go every walk."""
    with RunningPool() as pool:
        pool.wait_miner()
        yield pool


@pytest.fixture(scope="module")
def drives_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPool]:
    """A pool whose sealing host keeps the layers of its sectors on drives."""
    pool = RunningPool()
    drives_name(pool, tmp_path_factory.mktemp("drives"))
    with pool:
        pool.wait_miner()
        yield pool


@pytest.mark.slow
@pytest.mark.parametrize("walk", [*WALKS[:3], *LAST], ids=lambda walk: walk.name)
def test_a_kill_in_any_state_of_a_pipeline_is_survived(walked_pool: RunningPool, walk: Walk) -> None:
    pool, rng = walked_pool, dice()
    for state, _ in walk.stages:
        uuid = fresh_sector(pool)
        walk_through(pool, walk, uuid, state=state, rng=rng)
        if walk.name == "snap-up":  # and out of it again
            for unsealing, _ in WALKS[3].stages:
                walk_through(pool, WALKS[3], uuid, state=unsealing, rng=rng)
                data = f"/api/v1/pieces/{piece_of(pool, uuid)}/data"
                assert pool.ask("GET", data).content == data_of(uuid)


def test_a_walk_of_each_table_meets_every_state_that_somebody_leaves() -> None:
    walked = {walk.table: {state for state, _ in walk.stages} for walk in EVERY}

    assert walked == {
        name: {str(spec.state) for spec in table if spec.owner is not Owner.NOBODY}
        for name, table in PIPELINES.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("walk", EVERY, ids=lambda walk: walk.name)
def test_each_process_dies_in_each_state_of_a_pipeline(walked_pool: RunningPool, walk: Walk) -> None:
    died_in_each_state(walked_pool, walk, of=snapped_sector if walk is UNSEALED else fresh_ones)


@pytest.mark.slow
@pytest.mark.parametrize("walk", [SEALED, REBUILD], ids=lambda walk: walk.name)
def test_each_process_dies_in_each_state_with_layers_on_drives(drives_pool: RunningPool, walk: Walk) -> None:
    died_in_each_state(drives_pool, walk, of=fresh_ones)


@pytest.mark.slow
def test_each_process_dies_in_each_state_of_a_rebuild_of_data(walked_pool: RunningPool) -> None:
    died_in_each_state(walked_pool, REBUILD, of=snapped_sector)


def died_in_each_state(pool: RunningPool, walk: Walk, *, of: Callable[[RunningPool], str]) -> None:
    """Let sectors go a walk until each process has died in each of its states."""
    left, uuid = pairs_of(walk), ""
    for _ in range(WALKS_MAX):
        if walk is not SEALED:
            uuid = uuid if uuid and walk in (EXTENSION, REBUILD, UNSEALED) else of(pool)
            wait_active(pool, uuid)
        uuid = killed_through(pool, walk, uuid, left)
        if walk in (SNAP_UP, UNSEALED):
            assert pool.ask("GET", f"/api/v1/pieces/{piece_of(pool, uuid)}/data").content == data_of(uuid)
        if not left:
            return
    raise AssertionError(f"{walk.name}: nobody died in {sorted(left)}")


def wait_active(pool: RunningPool, uuid: str) -> None:
    """Wait for a sector's proof: kills cost windows; it is declared recovered and proven again."""
    wait_until(lambda: pool.sector(uuid).get("active"), within_s=3 * PERIOD_S, what=pool.diagnosis)


def fresh_ones(pool: RunningPool) -> str:
    """One of several active sectors of zeros: most walks need another one each time."""
    return fresh_sector(pool, count=4)


def snapped_sector(pool: RunningPool) -> str:
    """An active sector with a client's data; snapped up now if there is none."""
    rows = pool.rows_of(SNAPPED)
    return str(rows[0][0]) if rows else killed_through(pool, SNAP_UP, fresh_sector(pool), set())
