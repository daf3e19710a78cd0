"""The pool's nodes: rows from the settings, and how each of them does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from django.db import transaction

from apps.chain.addresses import node_address
from apps.chain.client import ChainClient
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.link import link_to
from apps.chain.models import Node
from apps.chain.services.networks import WrongNetwork, network_bind
from apps.chain.states import NodeState
from apps.core.live import Change, publish

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

LAG_EPOCHS_MAX: Final = 3
"""A node further behind than this is asked after the others."""


@transaction.atomic
def nodes_sync(texts: Iterable[str]) -> list[Node]:
    """Make the rows equal to the settings' list, in its order; a node that left it is switched off."""
    kept = []
    for position, text in enumerate(texts):
        address = node_address(text)
        defaults = {"token": address.token, "position": position, "is_enabled": True}
        node, _ = Node.objects.update_or_create(url=address.http_url, defaults=defaults)
        kept.append(node)
    Node.objects.exclude(pk__in=[node.pk for node in kept]).update(is_enabled=False)
    return kept


def nodes_probe(*, now: datetime) -> list[Node]:
    """Ask every enabled node for its head, measure it, and write what was found."""
    nodes = list(Node.objects.filter(is_enabled=True))
    before = {node.pk: (node.state, node.head_height, node.error) for node in nodes}
    for node in nodes:
        _probe(node)
    top = max((node.head_height or 0 for node in nodes if node.state == NodeState.HEALTHY), default=0)
    for node in nodes:
        node.lag_epochs = max(top - node.head_height, 0) if node.head_height is not None else 0
        if node.state == NodeState.HEALTHY and node.lag_epochs > LAG_EPOCHS_MAX:
            node.state = NodeState.LAGGING
        node.checked_at = now
        node.save()
        if before[node.pk] != (node.state, node.head_height, node.error):
            publish(Change("node", node.pk, None))
    return nodes


def _probe(node: Node) -> None:
    """Fill in one node's row; its network is checked whenever it was not healthy before."""
    client = ChainClient([link_to(node.url, node.token)])
    began = time.perf_counter()
    try:
        head = client.chain_head()
        node.latency_ms = (time.perf_counter() - began) * 1000
        if node.state != NodeState.HEALTHY or not node.version:
            network_bind(client)
            node.version = str(client.call("Version").get("Version", ""))[:100]
    except WrongNetwork as error:
        node.state, node.error = NodeState.WRONG_NETWORK, error.reason[:500]
        return
    except (NodeUnavailable, NodeRefused) as error:
        node.state, node.error = NodeState.AWAY, error.reason[:500]
        return
    node.state, node.error = NodeState.HEALTHY, ""
    node.head_height, node.head_key = head.height, head.key
