"""Two operators at the pool's nodes at the same moment, each on a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.chain.models import Node
from apps.chain.services.nodes import node_add, node_remove, node_set
from apps.core import clock
from apps.core.errors import Conflict, NotFound
from apps.users.rules.principals import SYSTEM
from tests.fake_node import FakeNode, served

pytestmark = pytest.mark.django_db(transaction=True)


def disable(node: Node) -> None:
    node_set(principal=SYSTEM, node=node, is_enabled=False)


def publish_only(node: Node) -> None:
    node_set(principal=SYSTEM, node=node, role="PUSH_ONLY")


def remove(node: Node) -> None:
    node_remove(principal=SYSTEM, node=node)


@pytest.mark.parametrize("act", [disable, publish_only, remove])
def test_two_operators_do_not_take_both_last_nodes(
    beside: Callable[..., list[Any]], act: Callable[[Node], None]
) -> None:
    one, two = (
        Node.objects.create(url=f"http://127.0.0.1:{port}/rpc/v1", is_configured=False) for port in (1, 2)
    )

    _, refused, _ = beside(lambda: act(one), "apps.chain.services.nodes.audit_record", lambda: act(two))

    assert isinstance(refused, Conflict)
    left = Node.objects.get(is_enabled=True, role="MAIN")
    assert left.pk == two.pk


def test_node_enabled_meanwhile_as_the_last_one_is_not_removed() -> None:
    seen, other = (
        Node.objects.create(url=f"http://127.0.0.1:{port}/rpc/v1", is_configured=False, is_enabled=enabled)
        for port, enabled in ((1, False), (2, True))
    )
    node_set(principal=SYSTEM, node=Node.objects.get(pk=seen.pk), is_enabled=True)
    disable(other)

    with pytest.raises(Conflict):
        remove(seen)

    assert Node.objects.get(is_enabled=True).pk == seen.pk


def test_node_enabled_meanwhile_is_disabled_as_asked() -> None:
    seen, _ = (
        Node.objects.create(url=f"http://127.0.0.1:{port}/rpc/v1", is_enabled=enabled)
        for port, enabled in ((1, False), (2, True))
    )
    node_set(principal=SYSTEM, node=Node.objects.get(pk=seen.pk), is_enabled=True)

    disable(seen)

    assert not Node.objects.get(pk=seen.pk).is_enabled


def test_node_changed_while_it_is_removed_is_gone(beside: Callable[..., list[Any]]) -> None:
    node = Node.objects.create(url="http://127.0.0.1:1/rpc/v1", is_configured=False, is_enabled=False)
    Node.objects.create(url="http://127.0.0.1:2/rpc/v1", is_configured=False)
    seen = Node.objects.get(pk=node.pk)

    _, refused, _ = beside(
        lambda: remove(node),
        "apps.chain.services.nodes.audit_record",
        lambda: node_set(principal=SYSTEM, node=seen, weight=7),
    )

    assert isinstance(refused, NotFound)
    assert not Node.objects.filter(pk=node.pk).exists()


def test_node_that_two_add_at_once_is_there_once(beside: Callable[..., list[Any]]) -> None:
    with served(FakeNode()) as url:

        def add() -> Node:
            return node_add(principal=SYSTEM, text=url, role="MAIN", weight=1, name="one", now=clock.now())

        first, refused, has_waited = beside(add, "apps.chain.services.nodes.audit_record", add)

    assert has_waited
    assert isinstance(refused, Conflict)
    assert refused.field == "url"
    assert Node.objects.get() == first
