"""All tests of this folder run in one worker: one browser and one web process serve them."""

from __future__ import annotations

import pytest


def test_the_browsers_group_reaches_the_scheduler(request: pytest.FixtureRequest) -> None:
    is_grouped = bool(request.config.getoption("loadgroup", default=False))

    assert request.node.nodeid.endswith("@browser") == is_grouped
