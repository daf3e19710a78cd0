"""The way of a message where the pool's node is forest, alone or beside lotus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from apps.messages.states import MessageState
from tests.forest_node import ForestNode
from tests.messaging import Pool, pool_world

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A pool whose node is forest."""
    with pool_world(monkeypatch, node=ForestNode()) as pool:
        yield pool


def test_forest_takes_a_message_from_push_to_receipt(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)

    pool.choose()
    pool.step()
    pool.step()

    assert pool.row("one").state == MessageState.LANDED
