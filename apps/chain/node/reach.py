"""Probe whether this machine reaches a node and Redis: without them it cannot lead or carry out steps."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Final

from django.db import Error, connection
from redis.exceptions import RedisError

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import ChainClient
from apps.chain.node.link import NodeLink
from apps.chain.selectors.nodes import nodes_for_reading
from apps.core.redis_clients import redis_client

ANSWER_S: Final = 1.5
"""A node that does not return its head within this time counts as unreachable."""
NODES_EVERY_S: Final = 10.0
"""Time between two reads of the list of nodes."""


class Reach:
    """Probes node and Redis; it runs in a separate thread and keeps no database session."""

    def __init__(self) -> None:
        self._links: list[NodeLink] = []
        """Its own: a node that is too slow for a look has not failed the work, which waits longer."""
        self._read_at = -NODES_EVERY_S

    def __call__(self) -> str:
        """Return why node or Redis is unreachable; empty if both are reached."""
        self._nodes_read()
        return self._node_fault() or redis_fault()

    def _nodes_read(self) -> None:
        """Read the list of nodes; keep the last one while the database is offline."""
        if time.monotonic() - self._read_at < NODES_EVERY_S:
            return
        try:
            with closing(connection):
                nodes = nodes_for_reading()
        except Error:
            return
        known = {(link.url, link.token): link for link in self._links}
        self._links = [known.get((node.url, node.token)) or NodeLink(node.url, node.token) for node in nodes]
        self._read_at = time.monotonic()

    def _node_fault(self) -> str:
        """Return why no node is reached; empty if one is, or if the pool has none."""
        try:
            if self._links:
                ChainClient(self._links, limit_s=ANSWER_S).chain_head()
        except NodeUnavailable as error:
            return error.reason
        except NodeRefused:  # it answers
            return ""
        return ""


def redis_fault() -> str:
    """Return why Redis is unreachable; empty if it is reached."""
    try:
        redis_client().ping()
    except (RedisError, OSError) as error:
        return f"Redis: {error}"[:300]
    return ""
