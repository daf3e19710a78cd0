"""One node as a row: how it is, whether it is ready for the next upgrade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext

from apps.chain.selectors.nodes import nodes_pool
from apps.chain.selectors.upgrades import Readiness, Upgrade, readiness, upgrade_next
from apps.chain.states import NodeCondition, NodeRole
from apps.core import formatting
from apps.core.languages import colon_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Action
from apps.dashboard.charts import Spark, spark
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.chain.models import Node

TONES: Final = {
    NodeCondition.HEALTHY: "ok",
    NodeCondition.UNKNOWN: "idle",
    NodeCondition.LAGGING: "warn",
    NodeCondition.FORKED: "bad",
    NodeCondition.AWAY: "bad",
    NodeCondition.WRONG_NETWORK: "bad",
    NodeCondition.RULES_MISSING: "bad",
}
READY_TONES: Final = {True: "ok", False: "bad", None: "idle"}


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node in the table."""

    pk: int
    name: str
    url: str
    tone: str
    word: str
    error: str
    role: str
    head: str
    behind: str
    peers: str
    latency: str
    errors: str
    version: str
    upgrade: str
    """How it stands to the next upgrade; empty if none is announced."""
    upgrade_tone: str
    spark: Spark | None
    actions: tuple[Action, ...]


def node_row(node: Node, *, may_act: bool, upgrade: Upgrade | None) -> NodeRow:
    """Lay out a node; `upgrade`: the next one of the network."""
    ready = None if upgrade is None or not node.is_enabled else readiness(node, upgrade)
    condition = NodeCondition(node.condition)
    word = str(condition.label) if node.is_enabled else gettext("disabled")
    p95 = node.latency_quantile(0.95)
    times = [value for value in node.probes if value is not None]
    behind = gettext("{count} ep").format(count=node.lag_epochs)
    behind += f", {formatting.time_left(node.lag_s)}" if node.lag_epochs else ""
    return NodeRow(
        pk=node.pk,
        name=node.name or node.url.partition("//")[2].partition("/")[0],
        url=node.url,
        tone=TONES[condition] if node.is_enabled else "idle",
        word=word,
        error=shown_text(node.error) if node.is_enabled else "",
        role=gettext("{label}, weight {weight}").format(label=NodeRole(node.role).label, weight=node.weight),
        head=formatting.whole(node.head_height),
        behind=behind if node.head_height is not None else formatting.NOTHING,
        peers=formatting.whole(node.peers) + (f", {shown_text(node.sync)}" if node.sync else ""),
        latency=formatting.duration(None if p95 is None else p95 / 1000),
        errors=formatting.percent(node.error_rate, 1),
        version=node.version or formatting.NOTHING,
        upgrade="" if ready is None else upgrade_text(ready),
        upgrade_tone="" if ready is None else READY_TONES[ready.is_ready],
        spark=spark(times, label=gettext("response times of {times} probes").format(times=len(times))),
        actions=node_actions(node) if may_act else (),
    )


def upgrade_text(ready: Readiness) -> str:
    """Return how a node stands to the next upgrade."""
    texts = {True: gettext("ready"), False: gettext("not ready"), None: gettext("unknown")}
    return colon_text(ready.upgrade.short, texts[ready.is_ready])


def node_actions(node: Node) -> tuple[Action, ...]:
    """Return what an operator can do to a node."""

    def action(op: str, label: str, icon: str) -> Action:
        return Action(f"{op}-{node.pk}", label, reverse("chain-node-act", args=[node.pk, op]), icon)

    if not node.is_enabled:
        remove = () if node.is_configured else (action("remove", gettext("Remove"), "close"),)
        return (action("enable", gettext("Enable"), "run"), *remove)
    return (action("promote", gettext("Promote"), "up"), action("disable", gettext("Disable"), "off"))


def node_rows(viewer: Principal) -> list[NodeRow]:
    """Lay out all nodes for the operator; nobody else is told where they are."""
    if not viewer.is_operator:
        return []
    upgrade = upgrade_next()
    return [node_row(row, may_act=viewer.may("admin"), upgrade=upgrade) for row in nodes_pool()]
