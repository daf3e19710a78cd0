"""Writing what the chain told: nodes and heads."""

from __future__ import annotations

from apps.chain.services.heads import HeadStepResult, head_follow
from apps.chain.services.networks import WrongNetwork, network_bind
from apps.chain.services.nodes import (
    NodeNotServing,
    node_add,
    node_promote,
    node_remove,
    node_set,
    node_test,
    nodes_sync,
)
from apps.chain.services.probes import nodes_probe

__all__ = [
    "HeadStepResult",
    "NodeNotServing",
    "WrongNetwork",
    "head_follow",
    "network_bind",
    "node_add",
    "node_promote",
    "node_remove",
    "node_set",
    "node_test",
    "nodes_probe",
    "nodes_sync",
]
