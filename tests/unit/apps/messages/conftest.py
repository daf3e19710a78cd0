"""The messager's small pool."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.messaging import Pool, pool_world


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A node, a tenant with keys, and the follower's rows."""
    with pool_world(monkeypatch) as pool:
        yield pool
