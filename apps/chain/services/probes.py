"""How each node does: asked every second, all at once, measured against the newest head of the pool."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.utils.translation import gettext_noop

from apps.chain.errors import NetworkUnknown, NodeRefused, NodeUnavailable, WrongNetwork
from apps.chain.models import Head, Node
from apps.chain.node.client import ChainClient
from apps.chain.node.link import link_to
from apps.chain.node.tipsets import TipsetFacts
from apps.chain.reasons import LAGS
from apps.chain.selectors.heads import head_at, head_current
from apps.chain.selectors.nodes import nodes_all
from apps.chain.services.branches import (
    BRANCH_ABSENCE,
    BRANCH_DEPTH,
    BranchSample,
    branch_choose,
    branch_describe,
    branch_sample_read,
)
from apps.chain.services.networks import network_bind, network_check
from apps.chain.states import CONDITIONS_FOREIGN, READ_RANKS, NodeCondition
from apps.core.compiled import Compiled
from apps.core.live import Change, publish
from apps.core.reasons import Reason, refused
from poolsite.filecoin.upgrades import heights_read

log = structlog.get_logger(__name__)

LAG_EPOCHS_MAX: Final = 2
"""A node further behind than this is read after the others."""

PROBE_TIMEOUT_S: Final = 1.5
"""A node that does not give its head within this time is taken for away."""

PROBES_STORED: Final = 120
"""Answer times that stay in a node's row: two minutes of them."""

DETAIL_EVERY: Final = timedelta(seconds=30)
"""How often version, peers, synchronisation and the network's version are asked for."""

SYNC_STAGES: Final = (
    gettext_noop("idle"),
    gettext_noop("headers"),
    gettext_noop("persisting headers"),
    gettext_noop("messages"),
    gettext_noop("complete"),
    gettext_noop("error"),
    gettext_noop("fetching messages"),
)
"""lotus api/api_full.go SyncStateStage; venus types.SyncStateStage counts alike."""

HEALTH_FIELDS: Final = (
    "checked_at",
    "condition",
    "detailed_at",
    "error",
    "head_height",
    "is_devnet",
    "lag_epochs",
    "lag_s",
    "latency_ms",
    "network_name",
    "network_version",
    "peers",
    "probes",
    "sync",
    "upgrades",
    "version",
)
"""What a probe may write: the operator's columns are never touched by it."""


@dataclass(slots=True)
class Finding:
    """What one node said when it was probed; gathered in a thread that does not touch the database."""

    head: TipsetFacts | None = None
    latency_ms: float | None = None
    network: tuple[str, str] = ("", "")
    """Name and genesis."""
    has_asked_details: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    """What changes rarely; empty if it was not asked for, or one of the answers came too late."""
    branch: BranchSample | None = None
    """None if it was not compared."""
    error: Reason | str = ""


ENABLED: Final[Compiled[Node]] = Compiled("nodes_probed", nodes_all)


def nodes_probe(*, now: datetime) -> list[Node]:
    """Probe every enabled node's head, all at once, measure it, and write what was found."""
    nodes = ENABLED.rows()
    if not nodes:
        return []
    known = head_current()  # before the probes: the follower goes on meanwhile
    pool_tipset = None
    # All or none: weights are compared, and the heads are of one moment.
    if known is not None and len(nodes) > 1 and any(_asks_details(node, now=now) for node in nodes):
        pool_tipset = head_at(known.height - BRANCH_DEPTH)
    with ThreadPoolExecutor(max_workers=min(len(nodes), 16)) as threads:
        findings = list(threads.map(lambda node: node_probe(node, now=now, pool_tipset=pool_tipset), nodes))
    before = {node.pk: _probe(node) for node in nodes}
    stored = {node.pk: {name: getattr(node, name) for name in HEALTH_FIELDS} for node in nodes}
    for node, finding in zip(nodes, findings, strict=True):
        probe_store(node, finding=finding, now=now)
    _compare(nodes, findings, known=known)
    if len(nodes) > 1:  # a node alone is followed, wherever it is
        is_idle = known is None or known.arrived_at < now - BRANCH_ABSENCE
        _branches_compare(
            nodes,
            findings,
            pool_key="" if pool_tipset is None else pool_tipset.key,
            before=before,
            is_idle=is_idle,
        )
    for node in nodes:
        # No save(): a node that an operator has removed meanwhile is no error.
        found = {name: getattr(node, name) for name in HEALTH_FIELDS}
        changed = {name: found[name] for name in found if found[name] != stored[node.pk][name]}
        Node.objects.filter(pk=node.pk).update(**changed | {"condition": node.condition}, updated_at=now)
        if before[node.pk] != _probe(node):
            publish(Change("node", node.pk, None))
        if before[node.pk][0] != node.condition:
            publish(Change("node_state", node.pk, None))
    return nodes


def _probe(node: Node) -> tuple[Any, ...]:
    return (node.condition, node.head_height, node.error, node.peers, node.version, node.upgrades)


def _asks_details(node: Node, *, now: datetime) -> bool:
    is_new = node.detailed_at is None or now - node.detailed_at > DETAIL_EVERY
    return is_new or node.condition != NodeCondition.HEALTHY


def node_probe(node: Node, *, now: datetime, pool_tipset: Head | None = None) -> Finding:
    """Probe one node; what fails is in the finding's error.

    `pool_tipset`: a tipset of the pool's chain some epochs below its head, which the node's chain is to have.
    """
    finding, client = Finding(), ChainClient([link_to(node.url, node.token)], limit_s=PROBE_TIMEOUT_S)
    started = time.perf_counter()
    try:
        name, genesis, finding.head = client.chain_known(with_head=True)
        finding.latency_ms = (time.perf_counter() - started) * 1000
        finding.network = name, genesis
        if pool_tipset is not None and finding.head is not None:
            finding.branch = branch_sample_read(client, head=finding.head, pool_tipset=pool_tipset)
        if _asks_details(node, now=now):
            finding.has_asked_details = True
            with suppress(NodeUnavailable):  # a slow list of peers says nothing about reads
                finding.details = _details(client)
    except (NodeUnavailable, NodeRefused) as error:
        finding.error = refused(error)
    return finding


def _details(client: ChainClient) -> dict[str, Any]:
    """Fetch what changes rarely; what a node does not know stays empty.  Raises NodeUnavailable."""
    peers, sync = _maybe(client, "NetPeers"), _maybe(client, "SyncState")
    version = _maybe(client, "Version")
    return {
        "version": str(version.get("Version", ""))[:100] if isinstance(version, dict) else "",
        "peers": len(peers) if isinstance(peers, list) else None,
        "sync": _sync_text(sync),
        "network_version": client.state_network_version(),
        "upgrades": heights_read(_maybe(client, "StateGetNetworkParams")),
        "is_devnet": isinstance(_maybe(client, "Devnet.Info"), dict),
    }


def _maybe(client: ChainClient, method: str) -> Any:
    try:
        return client.call(method)
    except NodeRefused:
        return None


def _sync_text(sync: Any) -> str:
    """Return how far the most advanced synchronisation is."""
    runs = sync.get("ActiveSyncs") if isinstance(sync, dict) else None
    stages = [run.get("Stage") for run in runs or () if isinstance(run, dict)]
    known = [stage for stage in stages if isinstance(stage, int) and 0 <= stage < len(SYNC_STAGES)]
    return SYNC_STAGES[max(known, key=lambda stage: (stage == 4, stage))] if known else ""


def probe_store(node: Node, *, finding: Finding, now: datetime) -> None:
    """Put one finding into its row; the first node that answers binds the pool to its network."""
    node.checked_at = now
    node.probes = [*node.probes, None if finding.error else finding.latency_ms][-PROBES_STORED:]
    node.network_name = finding.network[0][:100] or node.network_name
    if finding.error or finding.head is None:
        node.condition, node.error = NodeCondition.AWAY, finding.error
        return
    try:
        network = network_check(finding.network[0], genesis=finding.network[1])
        if network is None or finding.details.get("network_version", 0) > network.version:
            network_bind(ChainClient([link_to(node.url, node.token)], limit_s=PROBE_TIMEOUT_S))
    except WrongNetwork as error:
        node.condition, node.error = NodeCondition.WRONG_NETWORK, refused(error)
        return
    except NetworkUnknown as error:
        node.condition, node.error = NodeCondition.RULES_MISSING, refused(error)
        return
    except (NodeUnavailable, NodeRefused) as error:
        node.condition, node.error = NodeCondition.AWAY, refused(error)
        return
    node.condition, node.error, node.latency_ms = NodeCondition.HEALTHY, "", finding.latency_ms
    node.head_height = finding.head.height
    if finding.has_asked_details:
        node.detailed_at = now
    for name, value in finding.details.items():
        setattr(node, name, value)


def node_require_own(url: str, *, client: ChainClient) -> None:
    """Compare a node's network and genesis with the pool's before a head of it is taken.

    Another chain may come back at an address.  Raises WrongNetwork, and nobody reads the node from then on.
    """
    try:
        name, genesis, _ = client.chain_known()
        network_check(name, genesis=genesis)
    except WrongNetwork as error:
        Node.objects.filter(url=url).update(condition=NodeCondition.WRONG_NETWORK, error=refused(error))
        publish(Change("node_state", url, None))
        raise


def _compare(nodes: list[Node], findings: list[Finding], *, known: Head | None) -> None:
    """Measure each node against the newest head of the pool: of the healthy nodes, or the one followed last.

    Otherwise a node that still catches up would be healthy as soon as the others are away.
    """
    heads: list[TipsetFacts | Head] = [
        finding.head
        for node, finding in zip(nodes, findings, strict=True)
        if node.condition == NodeCondition.HEALTHY and finding.head is not None
    ]
    heads += [known] if known is not None else []
    top = max(heads, key=lambda head: head.height, default=None)
    for node, finding in zip(nodes, findings, strict=True):
        if top is None or node.head_height is None:
            node.lag_epochs = node.lag_s = 0
            continue
        node.lag_epochs = max(top.height - node.head_height, 0)
        if finding.head is not None:
            node.lag_s = min(max(top.timestamp - finding.head.timestamp, 0), 2**31 - 1)
        if node.condition == NodeCondition.HEALTHY and node.lag_epochs > LAG_EPOCHS_MAX:
            node.condition, node.error = (
                NodeCondition.LAGGING,
                LAGS(lag_epochs=node.lag_epochs),
            )


def _branches_compare(
    nodes: list[Node],
    findings: list[Finding],
    *,
    pool_key: str,
    before: dict[int, tuple[Any, ...]],
    is_idle: bool,
) -> None:
    """Mark the nodes that are not on the branch to follow; one that was, and is not compared now, stays so.

    `pool_key`: the tipset of the pool's chain that was compared, empty if none was; `before`: as it was found
    before; `is_idle`: the pool has had no new head for long.
    """
    answering = [
        (node, finding.branch, before[node.pk])
        for node, finding in zip(nodes, findings, strict=True)
        if node.condition in (NodeCondition.HEALTHY, NodeCondition.LAGGING)
    ]
    samples = {node.pk: sample for node, sample, _ in answering if sample and node.role in READ_RANKS}
    unknown = [
        node
        for node in nodes
        if node.pk not in samples
        and node.role in READ_RANKS
        and node.condition not in CONDITIONS_FOREIGN
        and before[node.pk][0] != NodeCondition.FORKED
    ]
    followed = branch_choose(samples.values(), pool_key=pool_key, is_alone=is_idle or not unknown)
    if followed != pool_key:
        log.warning("branch_changes", followed=followed, before=pool_key)
    for node, sample, (condition, _, error, *_) in answering:
        if sample is None and condition == NodeCondition.FORKED:
            node.condition, node.error = condition, error
        elif sample is not None and sample.tipset.key != followed:
            node.condition, node.error = NodeCondition.FORKED, branch_describe(sample, followed=followed)
