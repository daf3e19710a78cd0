"""The people of the pages, and a node that knows the factories' miner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import factories
from tests.people import person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apps.users.models import User
    from tests.factories import MinerNode


@pytest.fixture
def ann(db: None) -> User:
    return person()


@pytest.fixture
def bill(db: None) -> User:
    return person("bill", of="bob")


@pytest.fixture
def node() -> Iterator[MinerNode]:
    with factories.node_served() as answering:
        yield answering
