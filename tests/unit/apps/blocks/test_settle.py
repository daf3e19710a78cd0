"""Rounds of before an outage: what nodes that are away cost, and those that lack a tipset."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from apps.blocks.models import Block, Round
from apps.blocks.services.settle import rounds_left_settle
from apps.blocks.states import RoundState
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core import clock
from tests import factories

pytestmark = pytest.mark.django_db
FINALITY = 900


@pytest.mark.parametrize(
    ("error", "asked"),
    [(NodeUnavailable("no response"), [99]), (NodeRefused(1, "gone"), [99, 98])],
)
def test_nodes_that_are_away_are_asked_of_one_round_alone(
    error: Exception, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    miner, heights = factories.miner(1000), []
    for epoch in (98, 99):
        row = Round.objects.create(
            miner=miner, epoch=epoch, base_height=epoch - 1, state=RoundState.SUBMITTED, at=clock.now()
        )
        Block.objects.create(
            round=row, actor_id=1000, height=epoch, parents=bytes([epoch]), reserved_at=clock.now()
        )

    def tipset(height: int, _key: Any) -> None:
        heights.append(height)
        raise error

    client = SimpleNamespace(chain_get_tipset_by_height=tipset)
    monkeypatch.setattr("apps.blocks.services.settle.chain_client", lambda: client)

    network: Any = SimpleNamespace(chain_finality=FINALITY)
    assert rounds_left_settle(factories.head(1200), network=network) == 0

    assert heights == asked
    assert set(Round.objects.values_list("state", flat=True)) == {RoundState.SUBMITTED}
