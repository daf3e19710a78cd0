"""Chain: the nodes, the newest tipsets, the base fee, what was taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apps.chain.models import Head, Node
from apps.chain.selectors import heads_recent, network_version, nodes_pool
from apps.chain.states import NodeState
from apps.chain.upgrades import nodes_readiness, upgrade_next, upgrades_after
from apps.checks.results import Topic
from apps.core import formatting
from apps.dashboard.charts import spark
from apps.dashboard.fragments.context import FragmentContext, FragmentsByKind, fragment
from apps.dashboard.fragments.todo import verdict_by
from apps.dashboard.rows.cards import Fact, Verdict, plural
from apps.dashboard.rows.chain import NodeRow, head_row, node_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.users.principals import Principal

HEADS_SHOWN: Final = 20
FEES_SHOWN: Final = 120
REORGS_SHOWN: Final = 20
UPGRADES_SHOWN: Final = 3


def node_rows(viewer: Principal) -> list[NodeRow]:
    """Lay out all nodes for the operator; nobody else is told where they are."""
    if not viewer.is_operator:
        return []
    upgrade = upgrade_next()
    return [node_row(row, may_act=viewer.may("admin"), upgrade=upgrade) for row in nodes_pool()]


def verdict_of(context: FragmentContext) -> Verdict:
    """Return in one sentence how the nodes do."""
    report = context.data.report_of(Topic.CHAIN)
    nodes = list(Node.objects.filter(is_enabled=True))
    well = [node for node in nodes if node.state == NodeState.HEALTHY]
    if not nodes:
        return verdict_by(report, Verdict("The pool has no node.", "Set CHAIN_URLS or add one."))
    head = context.data.head
    at = f"The newest tipset is {formatting.whole(head.height)}." if head is not None else "No tipset yet."
    return verdict_by(report, Verdict(f"{len(well)} of {plural(len(nodes), 'node')} healthy.", at))


def chain_context() -> dict[str, Any]:
    """Return what the heads' part of the page shows."""
    heads = heads_recent(FEES_SHOWN)
    fees = [float(head.base_fee) for head in reversed(heads)]
    lowest, highest = (formatting.fee_text(int(end(fees, default=0))) for end in (min, max))
    lost = Head.objects.filter(is_canonical=False).order_by("-arrived_at", "-height")[:REORGS_SHOWN]
    return {
        "heads": [head_row(head) for head in heads[:HEADS_SHOWN]],
        "fee": spark(fees, label=f"base fee of the newest {plural(len(fees), 'tipset')}"),
        "fee_now": formatting.fee_text(int(heads[0].base_fee)) if heads else formatting.NOTHING,
        "fee_span": f"{lowest} to {highest}" if fees else "",
        "reorgs": [head_row(head) for head in lost],
    }


def network_facts(context: FragmentContext) -> list[Fact]:
    """Return which rules run and when they change."""
    head, version = context.data.head, network_version()
    if head is None or version is None:
        return []
    facts = [Fact("Version", f"nv{version}")]
    coming = upgrades_after(head.height)
    clock = context.data.clock
    for upgrade in coming[:UPGRADES_SHOWN]:
        left = clock.left_s(upgrade.height) if clock is not None else None
        at = f"epoch {formatting.whole(upgrade.height)}, in {formatting.time_left(left)}"
        facts.append(Fact(f"Upgrade {upgrade.title}", at))
    if coming and context.viewer.is_operator:
        facts += ready_facts(head.height)
    if not coming:
        facts.append(Fact("Next upgrade", "none is announced by the nodes"))
    return facts


def ready_facts(height: int) -> Iterable[Fact]:
    """Return how many nodes are ready for the next upgrade, and why the others are not."""
    nodes = nodes_readiness(height)
    ready = sum(one.is_ready is True for _, one in nodes)
    yield Fact("Ready for it", f"{ready} of {plural(len(nodes), 'node')}")
    for node, one in nodes:
        if not one.is_ready:
            yield Fact("Not ready" if one.is_ready is False else "Unknown", f"{node}: {one.reason}")


def network(context: FragmentContext) -> Iterable[str]:
    """The countdown to the next upgrade."""
    yield fragment("chain/_network.html", facts=network_facts(context))


def verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(context))


def heads(context: FragmentContext) -> Iterable[str]:  # noqa: ARG001  # the signature of all fragments
    """The newest tipsets, the fee and the reorgs."""
    yield fragment("chain/_heads.html", **chain_context())


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed nodes."""
    wanted = {int(key) for key in keys if key.isdigit()}
    for row in node_rows(context.viewer):
        if row.pk in wanted:
            yield fragment("chain/_node.html", node=row)


FRAGMENTS: Final[FragmentsByKind] = {"head": (verdict, network, heads), "node": (verdict,)}
