"""Pools of child processes, closed after their test."""

from __future__ import annotations

import pytest

from workers.processors import pool as pool_module
from workers.processors.pool import ProcessorPool


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(pool_module, "RESTART_PAUSE_S", 0.0)


@pytest.fixture
def quick_looks(monkeypatch):
    monkeypatch.setattr(pool_module, "CHECK_EVERY_S", 0.01)


@pytest.fixture
def open_pool():
    pools = []

    def open_one(*specs):
        pools.append(ProcessorPool(specs))
        return pools[-1]

    yield open_one
    for pool in pools:
        pool.close()
