"""Asking forest, whose words and forms differ from those of lotus and venus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from apps.chain.node.client import ChainClient
from apps.chain.node.gas_estimates import GasSpec
from apps.chain.node.link import NodeLink
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.message import Message
from tests.fake_node import served
from tests.forest_node import ForestNode

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za"


@pytest.fixture
def forest() -> ForestNode:
    node = ForestNode()
    node.balances[ADDRESS] = 10**20
    return node


@pytest.fixture
def link(forest: ForestNode) -> Iterator[NodeLink]:
    with served(forest) as url:
        link = NodeLink(url, "")
        yield link
        link.close()


def test_forest_estimates_gas_by_the_spec_it_requires(forest: ForestNode, link: NodeLink) -> None:
    address = address_parse(ADDRESS)
    message, spec = Message(to=address, from_=address), GasSpec(max_fee=10**17)
    client = ChainClient([link])

    [estimate] = client.gas_batch_estimate([(message, spec)], nonce=0, key=forest.head.cid)

    assert estimate.error == ""
    assert client.gas_estimate_message(message, spec, forest.head.cid).gas_limit == 1_250_000
