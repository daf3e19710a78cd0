"""What several tests of the chain start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.devnet.deals import Fair


@pytest.fixture
def fair() -> Iterator[Fair]:
    """A chain with a miner and a client who has money at the market."""
    market = Fair()
    yield market
    market.node.close()
