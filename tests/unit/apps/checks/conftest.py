"""What tests of alerts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.alerts import Hook

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    yield found
    found.server.shutdown()
    found.server.server_close()
