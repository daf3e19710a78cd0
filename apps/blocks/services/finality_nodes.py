"""Asking nodes about F3: which run it, on which instance, and for which miners each votes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.link import NodeLink

Answer = TypeVar("Answer")
ANSWER_S: Final = 5.0
INSTANCE_MAX: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class F3Node:
    """A node that runs F3 now."""

    link: NodeLink
    instance: int


def f3_nodes_find(links: Iterable[NodeLink]) -> list[F3Node]:
    """Return the nodes that run F3, with the instance that each works on; others are left out.

    All are asked at the same time: those that hang cost one wait together.
    """
    return [node for node in nodes_query(links, request=_running) if node is not None]


def _running(link: NodeLink) -> F3Node | None:
    try:
        progress = link.call("F3GetProgress", [], timeout_s=ANSWER_S)
        return F3Node(link, instance_read(progress["ID"]))
    except (NodeRefused, NodeUnavailable, KeyError, TypeError, ValueError):
        return None


def nodes_query(links: Iterable[NodeLink], *, request: Callable[[NodeLink], Answer]) -> list[Answer]:
    """Return what each node says, in their order, all asked at the same time; `ask` reads no rows."""
    nodes = list(links)
    if len(nodes) < 2:
        return [request(link) for link in nodes]
    with ThreadPoolExecutor(len(nodes)) as threads:
        return list(threads.map(request, nodes))


def voters_read(nodes: Sequence[F3Node]) -> dict[int, set[str]]:
    """Return by which nodes each actor is voted for; empty where one of them does not report it."""
    found: dict[int, set[str]] = {}
    for node, actors in zip(
        nodes, nodes_query([node.link for node in nodes], request=_participants), strict=True
    ):
        if actors is None:
            return {}
        for actor_id in actors:
            found.setdefault(actor_id, set()).add(node.link.url)
    return found


def _participants(link: NodeLink) -> list[int] | None:
    try:
        response = link.call("F3ListParticipants", [], timeout_s=ANSWER_S)
        return [int(one["MinerID"]) for one in response or []]
    except (NodeRefused, NodeUnavailable, KeyError, TypeError, ValueError):
        return None


def instance_read(number: Any) -> int:
    """Return the number of an instance.  Raises ValueError for one that no database keeps."""
    found = int(number)
    if not 0 <= found < INSTANCE_MAX:
        raise ValueError(f"no instance of F3: {found}")
    return found
