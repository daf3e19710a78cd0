"""Nodes, heads and messages of a tipset as the page Chain shows them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from apps.chain.states import NodeRole, NodeState
from apps.chain.upgrades import readiness
from apps.core import formatting
from apps.dashboard.charts import Spark, spark
from apps.dashboard.html_time import time_html
from apps.dashboard.rows.actions import Action
from apps.messages.methods import receiver_kind
from poolsite.filecoin.actors.decode import kind_fitting, method_name, params_shown, return_decode
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.address import BadAddress
from poolsite.filecoin.cbor import BadCbor

if TYPE_CHECKING:
    from collections.abc import Collection

    from apps.chain.models import Head, Node
    from apps.chain.upgrades import Readiness, Upgrade
    from poolsite.filecoin.message import Message, Receipt

TONES: Final = {
    NodeState.HEALTHY: "ok",
    NodeState.UNKNOWN: "idle",
    NodeState.LAGGING: "warn",
    NodeState.AWAY: "bad",
    NodeState.WRONG_NETWORK: "bad",
    NodeState.RULES_MISSING: "bad",
}
READY_TONES: Final = {True: "ok", False: "bad", None: "idle"}
PARAMS_MAX: Final = 2000
"""Longest text of a message's parameters on the page."""


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
    state = NodeState(node.state)
    word = str(state.label) if node.is_enabled else "switched off"
    p95 = node.latency_quantile(0.95)
    times = [value for value in node.probes if value is not None]
    behind = f"{node.lag_epochs} ep" + (f", {formatting.time_left(node.lag_s)}" if node.lag_epochs else "")
    return NodeRow(
        pk=node.pk,
        name=node.name or node.url.partition("//")[2].partition("/")[0],
        url=node.url,
        tone=TONES[state] if node.is_enabled else "idle",
        word=word,
        error=node.error if node.is_enabled else "",
        role=f"{NodeRole(node.role).label}, weight {node.weight}",
        head=formatting.whole(node.head_height),
        behind=behind if node.head_height is not None else formatting.NOTHING,
        peers=formatting.whole(node.peers) + (f", {node.sync}" if node.sync else ""),
        latency=formatting.duration(None if p95 is None else p95 / 1000),
        errors=formatting.percent(node.error_rate, 1),
        version=node.version or formatting.NOTHING,
        upgrade="" if ready is None else upgrade_text(ready),
        upgrade_tone="" if ready is None else READY_TONES[ready.is_ready],
        spark=spark(times, label=f"answer times of {len(times)} probes"),
        actions=node_actions(node) if may_act else (),
    )


def upgrade_text(ready: Readiness) -> str:
    """Return how a node stands to the next upgrade."""
    words = {True: "ready", False: "not ready", None: "unknown"}
    return f"{ready.upgrade.short}: {words[ready.is_ready]}"


def node_actions(node: Node) -> tuple[Action, ...]:
    """What an operator can do to a node."""

    def action(op: str, label: str, icon: str) -> Action:
        return Action(f"{op}-{node.pk}", label, reverse("chain-node-act", args=[node.pk, op]), icon)

    if not node.is_enabled:
        remove = () if node.is_configured else (action("remove", "Remove", "close"),)
        return (action("enable", "Enable", "run"), *remove)
    return (action("promote", "Promote", "up"), action("disable", "Disable", "off"))


@dataclass(frozen=True, slots=True)
class HeadRow:
    """One tipset in the list."""

    height: str
    href: str
    cids: tuple[str, ...]
    miners: str
    base_fee: str
    at: str


def head_row(head: Head) -> HeadRow:
    """Lay out a tipset."""
    return HeadRow(
        height=formatting.whole(head.height),
        href=reverse("chain-tipset", args=[head.height]) if head.is_canonical else "",
        cids=tuple(formatting.shortened(cid) for cid in head.cids),
        miners=", ".join(head.miners) or formatting.NOTHING,
        base_fee=formatting.fee_text(int(head.base_fee)),
        at=time_html(head.arrived_at),
    )


@dataclass(frozen=True, slots=True)
class ChainMessage:
    """One message of a tipset, decoded."""

    cid: str
    from_: str
    to: str
    value: str
    method: str
    params: str
    tone: str
    result: str
    gas: str
    """Gas used, of the limit."""
    returned: str
    """What the method gave back, as readable fields."""


def message_row(
    cid: str, message: Message, receipt: Receipt | None, *, miners: Collection[str]
) -> ChainMessage:
    """Lay out a message with what came of it; None while the tipset above is not there yet."""
    try:
        kind = receiver_kind(str(message.to), kind="", miners=miners)
    except BadAddress:
        kind = ""
    kind = kind or kind_fitting(message.method, message.params)
    tone, result = "idle", "not executed yet"
    if receipt is not None:
        tone = "ok" if receipt.exit_code == 0 else "bad"
        result = "ok" if receipt.exit_code == 0 else exit_code_text(receipt.exit_code, actor=kind)
    used = None if receipt is None else receipt.gas_used
    return ChainMessage(
        cid=cid,
        from_=str(message.from_),
        to=str(message.to),
        value=formatting.fil(message.value),
        method=method_name(kind, message.method),
        params=params_text(kind, message.method, message.params),
        tone=tone,
        result=result,
        gas=f"{formatting.whole(used)} of {formatting.whole(message.gas_limit)}" if used is not None else "",
        returned=return_text(kind, message.method, b"" if receipt is None else receipt.return_),
    )


def return_text(kind: str, method: int, data: bytes) -> str:
    """Write what a method gave back as readable fields, or as hex where nobody knows its form."""
    try:
        value: Any = return_decode(kind, method, data)
    except (BadCbor, KeyError):
        return data.hex()[:PARAMS_MAX]
    return "" if value is None else json.dumps(value, ensure_ascii=False)[:PARAMS_MAX]


def params_text(kind: str, method: int, params: bytes) -> str:
    """Write parameters as readable fields, or as they are where nobody knows their form."""
    value: Any = params_shown(kind, method, params)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "" if value is None else text[:PARAMS_MAX]
