"""Which node is asked first for what a block is made of."""

from __future__ import annotations

import pytest

from apps.blocks.selectors.nodes import block_links, f3_links
from apps.chain.models import Node
from apps.chain.services.nodes import nodes_sync
from apps.chain.states import NodeCondition, NodeRole

MAIN, WINNING = "http://main:1/rpc/v1", "http://winning:1/rpc/v1"


@pytest.mark.parametrize(
    ("main", "winning", "first"),
    [
        (NodeCondition.HEALTHY, NodeCondition.HEALTHY, WINNING),
        (NodeCondition.HEALTHY, NodeCondition.LAGGING, MAIN),
        (NodeCondition.HEALTHY, NodeCondition.AWAY, MAIN),
        (NodeCondition.LAGGING, NodeCondition.LAGGING, WINNING),
        (NodeCondition.AWAY, NodeCondition.LAGGING, WINNING),
    ],
)
def test_a_winning_node_is_asked_first_unless_another_is_healthier(db, main, winning, first):
    nodes_sync([MAIN, WINNING])
    Node.objects.filter(url=MAIN).update(role=NodeRole.MAIN, condition=main)
    Node.objects.filter(url=WINNING).update(role=NodeRole.WINNING, condition=winning)

    reading, submit = block_links()

    assert [reading[0].url, f3_links()[0].url] == [first, first]
    assert {link.url for link in submit} == {MAIN, WINNING}
