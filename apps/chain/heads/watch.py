"""Watching the nodes: probes in a thread of their own, so that a node that hangs holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections, connections

from apps.chain.models import Node
from apps.chain.node.addresses import NodeAddress
from apps.chain.selectors.nodes import nodes_to_follow
from apps.chain.selectors.read_cache import chain_read_once
from apps.chain.services.probes import nodes_probe
from apps.core import clock

log = structlog.get_logger(__name__)

PROBE_EVERY_S: Final = 1.0
"""With a probe's own time limit this keeps a node that fails from being read for longer than that limit."""


class NodeWatch:
    """Probes until it is stopped."""

    def __init__(
        self,
        *,
        order: Callable[[Iterable[Node] | None], Iterable[Node]],
        follow: Callable[[list[str]], None],
        is_needed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._order = order
        """Puts nodes in order; those of the database if none are given."""
        self._follow = follow
        """Called with the URLs of the nodes to follow, the best first."""
        self._is_needed = is_needed
        """False once another machine probes: a node that only this machine does not reach is not offline."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nodes", daemon=True)
        self._lock = threading.Lock()
        self._addresses: list[NodeAddress] = []

    def start(self) -> None:
        """Begin to probe."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """Stop probing and wait for the thread."""
        self._stop.set()
        self._thread.join(timeout=10)

    def addresses(self) -> list[NodeAddress]:
        """Return the nodes to follow, the best first, as of the last probe; asks no database."""
        with self._lock:
            return list(self._addresses)

    def refresh(self, found: Iterable[Node] | None = None) -> None:
        """Order the nodes and return those to follow: the healthy ones, or any of our chain.

        `found`: as they were just found; read from the database if not given.
        """
        nodes = list(self._order(found))
        addresses = [NodeAddress.of(url=node.url, token=node.token) for node in nodes]
        with self._lock:
            self._addresses = addresses
        self._follow([node.url for node in nodes_to_follow(nodes)])

    def _run(self) -> None:
        try:
            while not self._stop.wait(PROBE_EVERY_S):
                if not self._is_needed():
                    continue
                try:
                    with chain_read_once():
                        self.refresh(nodes_probe(now=clock.now()))
                except (OperationalError, InterfaceError) as error:
                    log.warning("database_away", reason=str(error).strip()[:200])
                    close_old_connections()
                except Exception:  # one odd answer or row must not end the watch over all nodes
                    log.exception("nodes_not_probed")
                    close_old_connections()
        finally:
            connections.close_all()
