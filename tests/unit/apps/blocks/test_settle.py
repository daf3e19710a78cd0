"""Rounds whose blocks no chain has; of before an outage, what nodes that are away cost, or lack a tipset."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from apps.blocks.models import Block, Round
from apps.blocks.services.settle import rounds_left_settle, rounds_settle
from apps.blocks.states import RoundState
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core import clock
from tests import factories

if TYPE_CHECKING:
    from apps.miners.models import Miner

pytestmark = pytest.mark.django_db
FINALITY = 900


def submitted(miner: Miner, epoch: int) -> Round:
    """A round whose block went to the nodes."""
    at = clock.now()
    row = Round.objects.create(
        miner=miner, epoch=epoch, base_height=epoch - 1, state=RoundState.SUBMITTED, at=at
    )
    Block.objects.create(round=row, actor_id=1000, height=epoch, parents=bytes([epoch]), reserved_at=at)
    return row


def test_a_block_that_no_chain_has_is_orphaned_two_epochs_later() -> None:
    row = submitted(factories.miner(1000), 98)

    assert rounds_settle(factories.head(99), finality=FINALITY) == 0
    assert rounds_settle(factories.head(100), finality=FINALITY) == 1

    row.refresh_from_db()
    assert row.state == RoundState.ORPHANED


@pytest.mark.parametrize(
    ("error", "asked"),
    [(NodeUnavailable("no response"), [99]), (NodeRefused(1, "gone"), [99, 98])],
)
def test_nodes_that_are_away_are_asked_of_one_round_alone(
    error: Exception, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    miner, heights = factories.miner(1000), []
    for epoch in (98, 99):
        submitted(miner, epoch)

    def tipset(height: int, _key: Any) -> None:
        heights.append(height)
        raise error

    client = SimpleNamespace(chain_get_tipset_by_height=tipset)
    monkeypatch.setattr("apps.blocks.services.settle.chain_client", lambda: client)

    network: Any = SimpleNamespace(chain_finality=FINALITY)
    assert rounds_left_settle(factories.head(1200), network=network) == 0

    assert heights == asked
    assert set(Round.objects.values_list("state", flat=True)) == {RoundState.SUBMITTED}
