"""Web processes of the hub on free ports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hub import WebProcess


@pytest.fixture
def web(transactional_db: None, pool_redis: str) -> Iterator[WebProcess]:
    """One web process."""
    process = WebProcess()
    process.start()
    yield process
    process.stop()
