"""Reading the pool's nodes, and which of them are read first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from django.db.models import QuerySet

from apps.chain.models import Node
from apps.chain.selectors.read_cache import read_once
from apps.chain.states import CONDITION_RANKS, CONDITIONS_SERVING, READ_RANKS, NodeCondition, NodeRole
from apps.core.compiled import Compiled
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext

NODES_ENABLED: Final[Compiled[Node]] = Compiled(
    "nodes_enabled",
    lambda: nodes_all().only("url", "token", "name", "position", "role", "weight", "is_enabled", "condition"),
)
"""Without what probes write down, which is most of a row; other columns are read when they are asked for."""


def nodes_all() -> QuerySet[Node]:
    """Return the enabled nodes in the order of the settings."""
    return Node.objects.filter(is_enabled=True)


def nodes_pool() -> QuerySet[Node]:
    """Return all nodes, those that are switched off last."""
    return Node.objects.order_by("-is_enabled", "position", "pk")


def nodes_configured() -> set[str]:
    """Return the URLs of the nodes that CHAIN_URLS named when the pool last began to follow."""
    return set(Node.objects.filter(is_configured=True).values_list("url", flat=True))


def node_get(key: str) -> Node:
    """Return one node by its number.  Raises NotFound."""
    is_number = key.isascii() and key.isdigit() and len(key) < 10
    node = Node.objects.filter(pk=int(key)).first() if is_number else None
    if node is None:
        raise NotFound(gettext("the pool has no such node"))
    return node


def nodes_enabled() -> list[Node]:
    """Return the enabled nodes in the order of the settings, by a query that is written out."""
    return read_once("nodes", NODES_ENABLED.rows)


def nodes_for_reading(nodes: Iterable[Node] | None = None) -> list[Node]:
    """Return the nodes that may be read, the best first: not behind, by role, then weight, then the list.

    Nodes of another network and push-only ones are left out.
    """
    rows = nodes_enabled() if nodes is None else nodes
    return sorted(
        (node for node in rows if node.condition in CONDITION_RANKS and node.role in READ_RANKS),
        key=_read_order,
    )


def nodes_to_follow(nodes: Sequence[Node]) -> list[Node]:
    """Return those of the nodes for reading whose heads are taken: the healthy ones, or all if none is."""
    return [node for node in nodes if node.condition == NodeCondition.HEALTHY] or list(nodes)


def nodes_serve(nodes: Iterable[Node]) -> bool:
    """Return whether one of these nodes can be read now, or was not asked yet."""
    return any(node.role in READ_RANKS and node.condition in CONDITIONS_SERVING for node in nodes)


def nodes_devnet() -> QuerySet[Node]:
    """Return the enabled nodes that say they are a devnet's."""
    return nodes_all().filter(is_devnet=True)


def _read_order(node: Node) -> tuple[int, int, int, int]:
    return (
        CONDITION_RANKS[NodeCondition(node.condition)],
        READ_RANKS[NodeRole(node.role)],
        -node.weight,
        node.position,
    )
