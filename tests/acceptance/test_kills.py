"""Kill -9 of every process, each in a pool of its own, at a random instant of its sector's way."""

from __future__ import annotations

import pytest

from tests.acceptance.accidents import SUPERVISOR, survive
from tests.acceptance.pool import RunningPool, dice

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

PROCESSES = [
    "web-1",
    "follower",
    "tasks",
    "tasks-slow",
    "signer",
    "sealer",
    "sealer-celery",
    "sealer-broker",
    "sealer-kernels",
    "prover",
    "prover-kernels",
    "postgres",
    "redis",
    "devnet",
    SUPERVISOR,
]


def test_the_list_names_every_process_that_stays() -> None:
    with RunningPool() as pool:
        pool.wait_all_up()
        staying = {name for name, row in pool.rows().items() if not row["once"]}

    assert staying - {"web-2"} <= set(PROCESSES)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_costs_no_sector_no_nonce_and_no_second_message(name: str) -> None:
    with RunningPool() as pool:
        survive(pool, name, dice())
