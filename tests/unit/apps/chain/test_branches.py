"""Nodes that are on different branches of the chain: which one the pool follows, and when it changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from apps.chain.errors import NodeRefused
from apps.chain.models import Network, Node
from apps.chain.node.client import ChainClient, chain_client
from apps.chain.node.link import link_to
from apps.chain.selectors.nodes import nodes_for_reading
from apps.chain.services.branches import BRANCH_ABSENCE, BRANCH_DEPTH
from apps.chain.services.heads import HeadStepResult, head_follow
from apps.chain.services.nodes import nodes_sync
from apps.chain.services.probes import nodes_probe
from apps.chain.states import NodeRole
from tests.fake_node import FakeNode, served

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
FORK = 3
"""Height of the last tipset that all have."""


class Nodes:
    """Nodes of the pool, the first of which it follows; `extra` of them are on a branch of their own."""

    def __init__(self, stack: ExitStack, *weights: int) -> None:
        self.fakes = [FakeNode() for _ in weights]
        for _ in range(FORK):
            for fake in self.fakes:
                fake.mine()
        for _ in range(BRANCH_DEPTH + 1):
            for fake, weight in zip(self.fakes, weights, strict=True):
                fake.mine(salt=str(weight), weight=weight)
        self.urls = [stack.enter_context(served(fake)) for fake in self.fakes]
        self.follow(0)
        Network.objects.all().delete()  # the first node binds the pool
        nodes_sync(self.urls)

    def follow(self, number: int) -> HeadStepResult | None:
        """Let the pool's chain be this node's."""
        client = ChainClient([link_to(self.urls[number], "")])
        return head_follow(client=client, facts=client.chain_head(), now=NOW)

    def conditions(self, *, at: datetime = NOW) -> list[str]:
        """Probe, and return how each node is found."""
        nodes_probe(now=at)
        return [Node.objects.get(url=url).condition for url in self.urls]

    def read(self) -> list[int]:
        """Return which nodes are read, the best first."""
        return [self.urls.index(node.url) for node in nodes_for_reading()]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_node_on_a_lighter_branch_is_named_and_not_read(stack: ExitStack) -> None:
    nodes = Nodes(stack, 5, 1)
    own, other = (fake.chain(fake.head.cid)[FORK + 1].cid for fake in nodes.fakes)

    assert nodes.conditions() == ["HEALTHY", "FORKED"]
    assert (
        Node.objects.get(url=nodes.urls[1]).error == f"at epoch 4 it has {other}, and the pool follows {own}"
    )
    assert nodes.read() == [0]

    nodes.fakes[1].tipsets, nodes.fakes[1].head = nodes.fakes[0].tipsets, nodes.fakes[0].head
    assert nodes.conditions() == ["HEALTHY", "HEALTHY"], "it is compared at each probe until it is back"

    nodes.fakes[1].rewind(BRANCH_DEPTH)
    nodes.fakes[1].mine(salt="other")
    assert nodes.conditions() == ["HEALTHY", "LAGGING"], "what is behind may be on our branch"


def test_the_heavier_branch_is_followed_though_the_best_node_is_on_another(stack: ExitStack) -> None:
    nodes = Nodes(stack, 1, 5)

    assert nodes.conditions() == ["FORKED", "HEALTHY"]
    assert nodes.read() == [1]

    result = nodes.follow(nodes.read()[0])
    assert result is not None
    assert (result.head.key, len(result.reverted)) == (nodes.fakes[1].head.cid, BRANCH_DEPTH + 1)
    assert nodes.conditions() == ["FORKED", "HEALTHY"], "now measured by the branch that it follows"


def test_branches_of_nearly_the_same_weight_are_not_followed_in_turns(stack: ExitStack) -> None:
    nodes = Nodes(stack, 4, 5)
    assert nodes.conditions() == ["HEALTHY", "FORKED"], "heavier by no more than it gains in two epochs"
    for fake, weight in zip(nodes.fakes, (4, 5), strict=True):
        fake.mine(salt=str(weight), weight=weight)
    nodes.follow(0)
    assert nodes.conditions() == ["FORKED", "HEALTHY"]

    nodes.follow(1)
    for _ in range(4):
        nodes.fakes[0].mine(salt="4", weight=9)
    for _ in range(3):
        nodes.fakes[1].mine(salt="5", weight=5)
    nodes.follow(1)
    one, other = (fake.head.parent_weight for fake in nodes.fakes)
    assert other < one < other + 10
    assert nodes.conditions() == ["FORKED", "HEALTHY"]


def test_a_forked_node_stays_so_while_it_does_not_say_where_it_is(stack: ExitStack) -> None:
    nodes = Nodes(stack, 5, 1)
    assert nodes.conditions() == ["HEALTHY", "FORKED"]
    nodes.fakes[1].lacks.add("ChainGetTipSetByHeight")
    assert nodes.conditions() == ["HEALTHY", "FORKED"]


def test_another_branch_is_followed_when_nobody_is_left_on_the_pools_own(stack: ExitStack) -> None:
    nodes = Nodes(stack, 5, 1)
    assert nodes.conditions() == ["HEALTHY", "FORKED"]

    nodes.fakes[0].lacks = {"ChainHead"}
    assert nodes.conditions() == ["AWAY", "FORKED"], "it may only restart"
    assert nodes.read() == [0]
    with pytest.raises(NodeRefused):
        chain_client().chain_head()
    assert nodes.conditions(at=NOW + BRANCH_ABSENCE + timedelta(seconds=1)) == ["AWAY", "HEALTHY"]

    Node.objects.filter(url=nodes.urls[0]).update(is_enabled=False)
    assert nodes.conditions()[1] == "HEALTHY", "a node alone is followed at once"


def test_a_node_that_is_only_pushed_to_decides_nothing(stack: ExitStack) -> None:
    nodes = Nodes(stack, 1, 5)
    Node.objects.filter(url=nodes.urls[1]).update(role=NodeRole.PUSH_ONLY)
    assert nodes.conditions() == ["HEALTHY", "FORKED"]


def test_three_nodes_of_which_the_best_missed_an_upgrade(stack: ExitStack) -> None:
    nodes = Nodes(stack, 1, 5, 5)
    assert nodes.conditions() == ["FORKED", "HEALTHY", "HEALTHY"]
    assert nodes.read() == [1, 2]
