"""The host of which these tests are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.workers.agent.scripted_host import Host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that is registered and idle."""
    return Host(tmp_path)
