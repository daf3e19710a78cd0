"""The host of which these tests are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.workers.agent.scripted_host import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that is registered and idle."""
    return Host(tmp_path)
