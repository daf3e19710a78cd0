"""A WindowPoSt from its challenge to its receipt, in epochs: a 2 KiB sector, real proofs, our own chain.

The chain moves by single epochs, and all that one makes due is done before the next: the figure is what
the pool's own waits cost. Whether the work fits into an epoch's seconds `kernels` and `forecast` measure.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import django

from tests.servers import TEMPLATE, PostgresServer

WINDOWS: Final = 4
LIMIT: Final = 3.0
"""None is faster here: a window opens two epochs after its challenge, and a message lands in the next."""
CASE: Final = f"challenge to landed proof, the slowest of {WINDOWS} windows at 2 KiB"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    limit: float | None = None


def cases() -> list[str]:
    """Return what is measured."""
    return [CASE]


def run(case: str) -> Figure:
    """Seal a sector, and follow its windows."""
    server = PostgresServer()
    server.start()
    try:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.test")
        django.setup()
        connections = importlib.import_module("django.db").connections
        row = connections["default"].settings_dict
        row["HOST"], row["NAME"] = str(server.sockets), TEMPLATE
        connections["default"].close()
        try:
            return Figure(case, float(slowest()), "epochs", limit=LIMIT)
        finally:
            connections.close_all()
    finally:
        server.stop()


def slowest() -> int:
    """Return the most epochs that passed between a challenge and the receipt of its proof."""
    pytest = importlib.import_module("pytest")
    pool = importlib.import_module("workers.processors.pool")
    child = importlib.import_module("workers.processors.pool_child")
    tests = importlib.import_module("tests.integration.sealing.conftest")
    proofs = importlib.import_module("apps.proving.models").WindowPost.objects
    patches = pytest.MonkeyPatch()
    kernels = pool.ProcessorPool([child.ChildSpec(stages=tests.STAGES)])
    with tempfile.TemporaryDirectory(prefix="poolsite-bench-") as folder:
        world = tests.World(Path(folder), kernels, patches)
        try:
            miner = tests.active_sectors(world, 1)
            # A window that was challenged while its sector was committed is proven late by the clock alone.
            ready = world.height
            landed = proofs.filter(miner=miner, challenge_epoch__gte=ready).exclude(landed_height=None)
            world.until(lambda: landed.count() >= WINDOWS, epochs=2 * WINDOWS * tests.PERIOD)
            return max(int(row.landed_height - row.challenge_epoch) for row in landed[:WINDOWS])
        finally:
            world.close()
            kernels.close()
            patches.undo()
