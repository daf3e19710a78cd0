"""Chain: the nodes, the newest tipsets, the base fee, what was taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apps.chain.models import Head, Node
from apps.chain.selectors import heads_recent, network_version, nodes_pool
from apps.chain.states import NodeState
from apps.chain.upgrades import nodes_readiness, upgrade_next, upgrades_after
from apps.checks.results import Topic
from apps.dashboard import numbers
from apps.dashboard.charts import spark
from apps.dashboard.lines.cards import Fact, Verdict, plural
from apps.dashboard.lines.chain import NodeLine, head_line, node_line
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.todo import verdict_by

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.users.principals import Principal

HEADS_SHOWN: Final = 20
FEES_SHOWN: Final = 120
REORGS_SHOWN: Final = 20
UPGRADES_SHOWN: Final = 3


def node_lines(viewer: Principal) -> list[NodeLine]:
    """Lay out all nodes for the operator; nobody else is told where they are."""
    if not viewer.is_operator:
        return []
    upgrade = upgrade_next()
    return [node_line(row, may_act=viewer.may("admin"), upgrade=upgrade) for row in nodes_pool()]


def verdict_of(place: Place) -> Verdict:
    """Say in one sentence how the nodes do."""
    report = place.scene.report_of(Topic.CHAIN)
    nodes = list(Node.objects.filter(is_enabled=True))
    well = [node for node in nodes if node.state == NodeState.HEALTHY]
    if not nodes:
        return verdict_by(report, Verdict("The pool has no node.", "Set CHAIN_URLS or add one."))
    head = place.scene.head
    at = f"The newest tipset is {numbers.whole(head.height)}." if head is not None else "No tipset yet."
    return verdict_by(report, Verdict(f"{len(well)} of {plural(len(nodes), 'node')} healthy.", at))


def chain_context() -> dict[str, Any]:
    """Give what the heads' part of the page shows."""
    heads = heads_recent(FEES_SHOWN)
    fees = [float(head.base_fee) for head in reversed(heads)]
    lowest, highest = (numbers.fee_text(int(end(fees, default=0))) for end in (min, max))
    lost = Head.objects.filter(is_canonical=False).order_by("-arrived_at", "-height")[:REORGS_SHOWN]
    return {
        "heads": [head_line(head) for head in heads[:HEADS_SHOWN]],
        "fee": spark(fees, label=f"base fee of the newest {plural(len(fees), 'tipset')}"),
        "fee_now": numbers.fee_text(int(heads[0].base_fee)) if heads else numbers.NOTHING,
        "fee_span": f"{lowest} to {highest}" if fees else "",
        "reorgs": [head_line(head) for head in lost],
    }


def network_facts(place: Place) -> list[Fact]:
    """Say which rules run and when they change."""
    head, version = place.scene.head, network_version()
    if head is None or version is None:
        return []
    facts = [Fact("Version", f"nv{version}")]
    coming = upgrades_after(head.height)
    clock = place.scene.clock
    for upgrade in coming[:UPGRADES_SHOWN]:
        left = clock.left_s(upgrade.height) if clock is not None else None
        at = f"epoch {numbers.whole(upgrade.height)}, in {numbers.time_left(left)}"
        facts.append(Fact(f"Upgrade {upgrade.title}", at))
    if coming and place.viewer.is_operator:
        facts += ready_facts(head.height)
    if not coming:
        facts.append(Fact("Next upgrade", "none is announced by the nodes"))
    return facts


def ready_facts(height: int) -> Iterable[Fact]:
    """Say how many nodes are ready for the next upgrade, and why the others are not."""
    nodes = nodes_readiness(height)
    ready = sum(one.is_ready is True for _, one in nodes)
    yield Fact("Ready for it", f"{ready} of {plural(len(nodes), 'node')}")
    for node, one in nodes:
        if not one.is_ready:
            yield Fact("Not ready" if one.is_ready is False else "Unknown", f"{node}: {one.reason}")


def network(place: Place) -> Iterable[str]:
    """The countdown to the next upgrade."""
    yield fragment("chain/_network.html", facts=network_facts(place))


def verdict(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(place))


def heads(place: Place) -> Iterable[str]:  # noqa: ARG001  # the form of all regions
    """The newest tipsets, the fee and the reorgs."""
    yield fragment("chain/_heads.html", **chain_context())


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the changed nodes."""
    wanted = {int(key) for key in keys if key.isdigit()}
    for line in node_lines(place.viewer):
        if line.pk in wanted:
            yield fragment("chain/_node.html", node=line)


REGIONS: Final[Regions] = {"head": (verdict, network, heads), "node": (verdict,)}
