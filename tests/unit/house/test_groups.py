"""Tests of one group run in one worker: a whole pool is started once, not once per core."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("house")
def test_a_group_reaches_the_scheduler(request: pytest.FixtureRequest) -> None:
    is_grouped = bool(request.config.getoption("loadgroup", default=False))

    assert request.node.nodeid.endswith("@house") == is_grouped
