"""Writing what the chain told: nodes and heads."""

from __future__ import annotations

from apps.chain.services.heads import HeadStepResult, head_follow
from apps.chain.services.networks import WrongNetwork, network_bind
from apps.chain.services.nodes import nodes_probe, nodes_sync

__all__ = ["HeadStepResult", "WrongNetwork", "head_follow", "network_bind", "nodes_probe", "nodes_sync"]
