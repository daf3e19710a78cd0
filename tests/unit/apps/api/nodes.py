"""Calls of `Filecoin.*` that a fake node answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apps.api.rpc.services.node import proxy
from apps.chain.models import Node
from apps.chain.services.nodes import nodes_sync
from apps.chain.states import NodeCondition
from tests import people
from tests.fake_node import FakeNode, served


@contextmanager
def node_served() -> Iterator[FakeNode]:
    """Serve a node as the pool's only one."""
    proxy.OBJECT_CACHE.clear()
    proxy.NODES.clear()
    node = FakeNode()
    node.mine()
    with served(node, token="secret") as url:
        nodes_sync([url])
        Node.objects.update(condition=NodeCondition.HEALTHY, token="secret")
        yield node
    proxy.OBJECT_CACHE.clear()
    proxy.NODES.clear()


def call(client: Any, method: str, *params: Any, token: str | None = None, **headers: str) -> Any:
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
    sent = people.bearer(token or people.token("read")) | headers
    return client.post("/rpc/v1", json.dumps(body), content_type="application/json", headers=sent)
