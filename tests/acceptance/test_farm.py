"""Sealing hosts with networks and disks of their own, in trouble: no sector is lost or doubled."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.chain import whole_history_require
from tests.acceptance.farm import CONSOLE, Farm, is_possible, sealing_names
from tests.acceptance.messager import token_for
from tests.acceptance.pool import SEALED_S, RunningPool, dice
from tests.integration.pools import crowding, wait_until
from workers.agent.sealing_leftovers import CHECK_S
from workers.console.lease_keeper import PARKED_EVERY_S

pytestmark = [
    pytest.mark.xdist_group("pool"),
    pytest.mark.slow,
    pytest.mark.skipif(not is_possible(), reason="network namespaces and mounts need root, ip and tc"),
]

HOSTS: Final = int(os.environ.get("POOLSITE_FARM_HOSTS", "10"))
STORM_S: Final = float(os.environ.get("POOLSITE_FARM_S", "600"))
OPEN_MAX: Final = 12
"""Sectors at once."""
TROUBLE_S: Final = (5.0, 40.0)
AT_ONCE: Final = 3
PAUSE_S: Final = 4.0
"""Between two troubles."""
SETTLED_S: Final = 900


def rows(pool: RunningPool, miner: str) -> list[dict[str, Any]]:
    """Return all sectors."""
    return list(pool.read(f"/api/v1/sectors?miner={miner}&limit=1000")["results"])


def sector_name(row: dict[str, Any]) -> str:
    """Return the name of a sector's files."""
    return f"s-t0{row['miner'].removeprefix('f0')}-{row['number']}"


def stored(pool: RunningPool) -> set[str]:
    """Return the names of the sectors in the shared store."""
    return {path.name for path in (pool.var / "store" / "sealed").iterdir()}


def is_settled(row: dict[str, Any]) -> bool:
    """Return whether a sector is active and all its messages are counted, or waits for a person."""
    return bool((row["active"] and row["state"] == "PROVING") or row["paused"])


@contextmanager
def farm_of(pool: RunningPool, folder: Path, count: int) -> Iterator[Farm]:
    """Hosts that seal for a pool, all of them there."""
    token = folder / "token"
    token.write_text(token_for(pool, "pool", perm="write", scopes=["sealer"]))
    with Farm(pool, token, count, dice()) as farm:
        told = lambda: f"{farm.words()}\n{pool.diagnosis()}"  # noqa: E731
        wait_until(lambda: hosts_here(pool) == count, within_s=300, what=told)
        yield farm


@pytest.fixture
def pool() -> Iterator[RunningPool]:
    """A pool that seals nothing itself, and that hosts elsewhere reach."""
    env: dict[str, Any] = {"POOLSITE_HOST": "0.0.0.0", "ALLOWED_HOSTS": f"localhost,127.0.0.1,{CONSOLE}"}
    with RunningPool(POOLSITE_DISABLE="sealer", **env) as pool:
        yield pool


def test_files_of_a_sector_that_a_copy_of_the_disk_has_ended_are_told(
    pool: RunningPool, tmp_path: Path
) -> None:
    miner = pool.wait_miner()
    with farm_of(pool, tmp_path, 1) as farm:
        [host] = farm.hosts
        told = lambda: f"{farm.words()}\n{pool.diagnosis()}"  # noqa: E731
        pool.pledge(miner)
        wait_until(lambda: sealing_names(host) != set(), within_s=SEALED_S, what=told)
        host.kill()
        clone_end = farm.cloned(host)
        wait_until(lambda: all(map(is_settled, rows(pool, miner))), within_s=2 * SEALED_S, what=told)
        clone_end()
        assert files_left(farm, set()) != {}

        leftovers_remove(pool, farm, set())

        assert files_left(farm, set()) == {}
        [row] = rows(pool, miner)
        assert (row["active"], stored(pool)) == (True, {sector_name(row)})


def test_no_trouble_of_a_farm_loses_or_doubles_a_sector(pool: RunningPool, tmp_path: Path) -> None:
    miner = pool.wait_miner()
    with farm_of(pool, tmp_path, HOSTS) as farm:
        told = lambda: f"{farm.words()}\n{pool.diagnosis()}"  # noqa: E731
        stormy(pool, miner, farm)
        farm.look(mends_all=True)
        wait_until(lambda: is_whole(pool, farm), within_s=120, what=told)
        lost_hosts_retire(pool)

        def all_settled() -> bool:
            farm.look()
            return all(is_settled(row) for row in rows(pool, miner))

        took_s = wait_until(all_settled, within_s=SETTLED_S, what=told)
        found = rows(pool, miner)
        counts = Counter("active" if row["active"] else row["error"][:80] for row in found)
        print("\n".join(farm.happened))
        print(f"settled after {took_s:.0f} s: {counts}")
        # What a host has of a sector that waits for a person stays.
        waiting = {sector_name(row) for row in found if not row["active"]}
        leftovers_remove(pool, farm, waiting)
        assert files_left(farm, waiting) == {}
        assert all(row["error"] for row in found if not row["active"]), "a sector waits without a reason"
        assert {sector_name(row) for row in found if row["state"] == "PROVING"} == stored(pool)
    active = {row["number"] for row in found if row["active"]}
    # A machine with too much work misses a window, and the next one brings the sector back.
    pool.wait_active(miner, active, within_s=SETTLED_S)
    whole_history_require(pool.chain, miner=miner, numbers=active)


def files_left(farm: Farm, waiting: set[str]) -> dict[str, set[str]]:
    """Return the names of the sectors that have files on hosts' own disks, but those that wait, by host."""
    left = {host.name: sealing_names(host) - waiting for host in farm.hosts}
    return {name: files for name, files in left.items() if files}


def leftovers_told(pool: RunningPool) -> dict[str, tuple[str, dict[str, str]]]:
    """Return by host its id, and the ids of the leftovers that it tells of, by their sector's name."""
    told = {}
    for row in pool.read("/api/v1/workers?limit=100")["results"]:
        if row["away"]:
            continue  # its machine came back with an empty disk, as another host of that name
        results = pool.read(f"/api/v1/workers/{row['uuid']}/leftovers")["results"]
        told[row["name"].split()[0]] = (
            row["uuid"],
            {one["id"].rpartition("/")[2]: one["id"] for one in results},
        )
    return told


def leftovers_remove(pool: RunningPool, farm: Farm, waiting: set[str]) -> None:
    """See that a host tells of each file on its disk, and have it removed, as a person does.

    A sector that a copy of a host's disk has ended leaves its files on the other one.
    """

    def all_told() -> bool:
        farm.look()
        told = leftovers_told(pool)
        left = files_left(farm, waiting)
        return all(name in told and files <= told[name][1].keys() for name, files in left.items())

    def none_left() -> bool:
        farm.look()
        return not files_left(farm, waiting)

    left = lambda: f"{files_left(farm, waiting)}\n{leftovers_told(pool)}\n{farm.words()}"  # noqa: E731
    wait_until(all_told, within_s=PARKED_EVERY_S + CHECK_S + 60, what=left)
    told, found = leftovers_told(pool), files_left(farm, waiting)
    print(f"left: {found}")
    if found:
        stores_check(pool)
    for name, files in found.items():
        host, ids = told[name]
        body = {"leftovers": [ids[one] for one in files]}
        answer = pool.ask("POST", f"/api/v1/workers/{host}/leftovers:remove", json=body)
        assert answer.status_code == 200, answer.text
    wait_until(none_left, within_s=120, what=left)


def stores_check(pool: RunningPool) -> None:
    """Have the files of all sectors read where their rows say that they are."""
    for store in pool.read("/api/v1/stores")["results"]:
        path = f"/api/v1/stores/{store['uuid']}/checks"
        answer = pool.ask("POST", path, json={})
        assert answer.status_code == 201, answer.text
        check = answer.json()["uuid"]
        wait_until(
            lambda: pool.read(f"{path}/{check}")["state"] == "DONE",  # noqa: B023
            within_s=300,
            what=lambda: f"{pool.read(f'{path}/{check}')}",  # noqa: B023
        )


def hosts_here(pool: RunningPool) -> int:
    """Return how many hosts of the farm are there."""
    found = pool.read("/api/v1/workers?limit=100")["results"]
    return sum(row["name"].startswith("farm-") and not row["away"] for row in found)


def is_whole(pool: RunningPool, farm: Farm) -> bool:
    """Return whether all hosts are there, started again where they ended."""
    farm.look()
    return hosts_here(pool) == HOSTS


def lost_hosts_retire(pool: RunningPool) -> None:
    """Retire, as a person does, the hosts whose disk died: their machines came back as others."""
    for row in pool.read("/api/v1/workers?limit=100")["results"]:
        if row["name"].startswith("farm-") and row["away"]:
            answer = pool.ask("DELETE", f"/api/v1/workers/{row['uuid']}")
            assert answer.status_code == 204, answer.text


def stormy(pool: RunningPool, miner: str, farm: Farm) -> None:
    """Pledge, and have things go wrong, for some minutes."""
    begun = next_at = time.monotonic()
    while time.monotonic() < begun + STORM_S:
        if sum(not is_settled(row) for row in rows(pool, miner)) < OPEN_MAX:
            pool.pledge(miner, 2)
        if time.monotonic() > next_at:
            farm.disturb(for_s=TROUBLE_S, at_once=AT_ONCE)
            next_at = time.monotonic() + PAUSE_S * crowding()
        farm.look()
        time.sleep(0.5)
