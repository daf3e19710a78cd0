"""Web processes of the hub on free ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hub import WebProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def web(transactional_db: None, pool_redis: str) -> Iterator[WebProcess]:
    """One web process."""
    process = WebProcess()
    process.start()
    yield process
    process.stop()
