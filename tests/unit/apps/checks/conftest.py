"""What tests of alerts share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.alerts import Hook


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    yield found
    found.server.shutdown()
    found.server.server_close()
