"""The rows of the table that are about the chain and the nodes that follow it."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from apps.checks.findings import chain, console
from apps.checks.findings.results import Check, Link, Severity, Topic

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING

CHAIN_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "chain_stalled",
        _("The chain is advancing"),
        (Topic.CHAIN, Topic.PROVING),
        CRITICAL,
        chain.chain_stalled,
        Link("chain"),
        _("Nodes"),
        is_pool_wide=True,
    ),
    Check(
        "head_late",
        _("Heads arrive on time"),
        (Topic.CHAIN,),
        WARNING,
        chain.head_late,
        Link("chain"),
        _("Nodes"),
        is_pool_wide=True,
    ),
    Check(
        "nodes_unreadable",
        _("At least one node can be read"),
        (Topic.CHAIN, Topic.PROVING),
        CRITICAL,
        chain.nodes_unreadable,
        Link("chain"),
        _("Nodes"),
        is_pool_wide=True,
    ),
    Check(
        "nodes_foreign",
        _("Every node is on the pool's network"),
        (Topic.CHAIN,),
        CRITICAL,
        chain.nodes_foreign,
        Link("chain"),
        _("Nodes"),
        operator_only=True,
    ),
    Check(
        "nodes_unhealthy",
        _("Every node is healthy"),
        (Topic.CHAIN,),
        WARNING,
        chain.nodes_away,
        Link("chain"),
        _("Nodes"),
        operator_only=True,
    ),
    Check(
        "nodes_forked",
        _("All nodes are on one branch of the chain"),
        (Topic.CHAIN,),
        CRITICAL,
        chain.nodes_forked,
        Link("chain"),
        _("Nodes"),
        operator_only=True,
    ),
    Check(
        "f3_stalled",
        _("F3 finalizes the chain"),
        (Topic.CHAIN,),
        WARNING,
        chain.f3_stalled,
        Link("chain"),
        _("Nodes"),
        is_pool_wide=True,
    ),
    Check(
        "pool_clock_skew",
        _("The machine's clock is accurate"),
        (Topic.CHAIN, Topic.BLOCKS),
        CRITICAL,
        console.pool_clock_skew,
        Link("chain"),
        _("Nodes"),
        operator_only=True,
    ),
    Check(
        "upgrade_unready",
        _("Every node is ready for the next upgrade"),
        (Topic.CHAIN,),
        CRITICAL,
        chain.upgrade_unready,
        Link("chain"),
        _("Nodes"),
        operator_only=True,
    ),
)
