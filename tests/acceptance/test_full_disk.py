"""A disk that becomes full under a running pool: it holds still, and goes on when there is room again."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.acceptance.chain import whole_history_require
from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool
from tests.integration.disks import mounted
from tests.integration.pools import wait_until

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

FULL_S = 40
"""Long enough for PostgreSQL, Redis, the chain and the sealer to have wanted room."""


@pytest.fixture
def pool() -> Iterator[RunningPool]:
    """A pool whose folder is a small disk of its own."""
    with contextlib.ExitStack() as ends:
        pool = RunningPool(has_kernels=False)
        ends.callback(shutil.rmtree, pool.base, ignore_errors=True)
        ends.enter_context(mounted(pool.var, megabytes=900, mode=0o711))
        ends.push(pool.__exit__)
        pool.start()
        yield pool


def test_a_disk_that_was_full_for_a_while_costs_time_only(pool: RunningPool) -> None:
    miner = pool.wait_miner()
    filler = pool.var / "filler"
    with filler.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(bytes(1 << 16))
    assert pool.supervisor is not None

    until = time.monotonic() + FULL_S
    said: set[tuple[int, str]] = set()
    while time.monotonic() < until:
        assert pool.supervisor.poll() is None, pool.words()
        assert pool.get("/healthz").status_code == 200
        page = pool.get("/login/")
        said.add((page.status_code, page.text if page.status_code == 503 else ""))
        time.sleep(0.5)
    restarts = {name: row["restarts"] for name, row in pool.rows().items() if name.startswith("web-")}
    filler.unlink()
    print(said)
    assert not any(restarts.values()), restarts
    assert all(status == 200 or "Free up space" in text or "restarting" in text for status, text in said), (
        said
    )

    again_s = pool.wait_all_up()
    print(f"all up {again_s:.1f} s after there was room again")
    (uuid,) = pool.pledge(miner)
    pool.wait_state(uuid, "PROVING")
    wait_until(lambda: pool.chain.active(miner) == {0}, within_s=SEALED_S + PERIOD_S, what=pool.diagnosis)
    whole_history_require(pool.chain, miner=miner, numbers={0})
