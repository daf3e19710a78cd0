"""The messager's small pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.messaging import Pool, pool_world

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A node, a tenant with keys, and the follower's rows."""
    with pool_world(monkeypatch) as pool:
        yield pool
