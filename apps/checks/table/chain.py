"""The rows of the table that are about the chain and the nodes that follow it."""

from __future__ import annotations

from typing import Final

from apps.checks.findings import chain, console
from apps.checks.findings.results import Check, Link, Severity, Topic

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING

CHAIN_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "chain_stalled",
        "The chain is advancing",
        (Topic.CHAIN, Topic.PROVING),
        CRITICAL,
        chain.chain_stalled,
        Link("chain"),
        "Nodes",
        is_pool_wide=True,
    ),
    Check(
        "head_late",
        "Heads arrive on time",
        (Topic.CHAIN,),
        WARNING,
        chain.head_late,
        Link("chain"),
        "Nodes",
        is_pool_wide=True,
    ),
    Check(
        "nodes_unreadable",
        "At least one node can be read",
        (Topic.CHAIN, Topic.PROVING),
        CRITICAL,
        chain.nodes_unreadable,
        Link("chain"),
        "Nodes",
        is_pool_wide=True,
    ),
    Check(
        "nodes_foreign",
        "Every node is on the pool's network",
        (Topic.CHAIN,),
        CRITICAL,
        chain.nodes_foreign,
        Link("chain"),
        "Nodes",
        operator_only=True,
    ),
    Check(
        "nodes_unhealthy",
        "Every node is healthy",
        (Topic.CHAIN,),
        WARNING,
        chain.nodes_away,
        Link("chain"),
        "Nodes",
        operator_only=True,
    ),
    Check(
        "nodes_forked",
        "All nodes are on one branch of the chain",
        (Topic.CHAIN,),
        CRITICAL,
        chain.nodes_forked,
        Link("chain"),
        "Nodes",
        operator_only=True,
    ),
    Check(
        "f3_stalled",
        "F3 finalizes the chain",
        (Topic.CHAIN,),
        WARNING,
        chain.f3_stalled,
        Link("chain"),
        "Nodes",
        is_pool_wide=True,
    ),
    Check(
        "pool_clock_skew",
        "The machine's clock is accurate",
        (Topic.CHAIN, Topic.BLOCKS),
        CRITICAL,
        console.pool_clock_skew,
        Link("chain"),
        "Nodes",
        operator_only=True,
    ),
    Check(
        "upgrade_unready",
        "Every node is ready for the next upgrade",
        (Topic.CHAIN,),
        CRITICAL,
        chain.upgrade_unready,
        Link("chain"),
        "Nodes",
        operator_only=True,
    ),
)
