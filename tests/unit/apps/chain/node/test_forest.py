"""Asking forest, whose words and forms differ from those of lotus and venus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.chain.node.gas_estimates import GasSpec
from apps.chain.node.link import NodeLink
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.message import Message
from tests.fake_node import FakeNode, served
from tests.forest_node import ForestNode

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


def test_null_for_an_actor_is_read_as_actor_not_found(link: NodeLink) -> None:
    client = ChainClient([link])

    with pytest.raises(NodeRefused, match="actor not found") as refusal:
        client.state_get_actor("f0999")
    [answer] = client.call_many([("StateGetActor", ["f0999", []])])

    assert refusal.value.is_missing_actor
    assert answer.is_missing_actor
    assert not link.tired_until, "it has served"


def test_a_tipset_that_forest_lacks_is_asked_of_the_next(link: NodeLink) -> None:
    other = FakeNode()
    other.balances[ADDRESS] = 10**20
    key = other.mine()
    with served(other) as url:
        lotus = NodeLink(url, "")
        client = ChainClient([link, lotus])

        assert client.state_get_actor(ADDRESS, key).balance == 10**20
        [actor] = client.call_many([("StateGetActor", [ADDRESS, [{"/": key}]])])
        assert actor["Nonce"] == 0
        lotus.close()


@pytest.mark.parametrize(
    "text",
    [
        "Key for header not found",
        "tipset at epoch 5021 not found",
        "failed to load message Invalid tipset: bafy2bzaced3xdk2uf6azekyxgcttujvy3",
        "No state tree exists for the root bafy2bzaced3xdk2uf6azekyxgcttujvy3fzyeqmibtpjf2fxcpfdx2zcx4s3g.",
        "Entry not found in cbor store: cid=bafy2bzaced, type=forest::blocks::header::CachingBlockHeader",
        "can't find object with cid=bafy2bzaced",
    ],
)
def test_forest_says_in_many_words_that_it_lacks_an_object(text: str) -> None:
    refusal = NodeRefused(-32603, text)

    assert refusal.is_missing_object
    assert not refusal.is_missing_actor


def test_forest_estimates_gas_by_the_spec_it_requires(forest: ForestNode, link: NodeLink) -> None:
    address = address_parse(ADDRESS)
    message, spec = Message(to=address, from_=address), GasSpec(max_fee=10**17)
    client = ChainClient([link])

    [estimate] = client.gas_batch_estimate([(message, spec)], nonce=0, key=forest.head.cid)

    assert estimate.error == ""
    assert client.gas_estimate_message(message, spec, forest.head.cid).gas_limit == 1_250_000
