"""Checks of the chain and the nodes that follow it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from apps.chain.selectors.status import BEHIND_WORD, GONE_WORD, LATE_WORD, unreadable_text
from apps.chain.states import CONDITIONS_FOREIGN, NodeCondition
from apps.checks import reasons
from apps.checks.findings.acts import nodes_leave
from apps.checks.findings.parts import NODE, process_part
from apps.checks.findings.results import Finding
from apps.checks.findings.text import grouped, named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import fees_per_day
from apps.core.reasons import MARKED, as_reason, clauses, colon, counted, lasting

F3_LAG: Final = 30
"""Epochs between the head and the newest certificate, when the nodes were asked."""
LATE_LEAST_S: Final = 60
"""On a devnet with epochs of seconds a head is late for a moment again and again."""

STALLED_BY: Final = ((NODE, process_part("follower")),)


def chain_stalled(data: CheckData) -> Iterator[Finding]:
    """No head, or none but old ones, for so long that it is no matter of null rounds."""
    chain_status = data.chain_status
    if chain_status is None or chain_status.tone != "bad":
        return
    per_day = fees_per_day(data, data.miners)
    if chain_status.word == str(GONE_WORD):
        yield Finding(
            "chain",
            reasons.CHAIN_STALLED(age_s=lasting(chain_status.age_s)),
            _stalled_text(data),
            per_day=per_day,
            breaks=(NODE,),
            needs=STALLED_BY,
        )
    if chain_status.word == str(BEHIND_WORD):
        yield Finding(
            "chain",
            reasons.HEAD_OLD(old_s=lasting(chain_status.old_s)),
            reasons.HEAD_OLD_CAUSE(),
            per_day=per_day,
            breaks=(NODE,),
            needs=STALLED_BY,
        )


def _stalled_text(data: CheckData) -> str:
    """Return what to look at: the nodes, unless nobody here reads their heads."""
    for process in data.processes:
        if process.name == "follower" and process.state == "silent":
            return reasons.FOLLOWER_SILENT()
        if process.name == "follower" and process.state == "down":
            return reasons.FOLLOWER_DOWN()
    return reasons.NODES_STALLED()


def head_late(data: CheckData) -> Iterator[Finding]:
    """The next head is overdue."""
    chain_status = data.chain_status
    if chain_status is None or chain_status.tone != "warn" or chain_status.old_s < LATE_LEAST_S:
        return
    if chain_status.word == str(LATE_WORD):
        say = reasons.HEAD_LATE(age_s=lasting(chain_status.age_s))
        why = reasons.NULL_ROUNDS()
        yield Finding("head-late", say, why, needs=STALLED_BY)
    else:
        say = reasons.HEAD_OLD(old_s=lasting(chain_status.old_s))
        why = reasons.HEAD_LATE_CAUSE()
        yield Finding("head-late", say, why, needs=STALLED_BY)


def nodes_foreign(data: CheckData) -> Iterator[Finding]:
    """Nodes of another chain, or of a network whose rules nobody has told."""
    for node in data.nodes:
        if node.condition == NodeCondition.RULES_MISSING:
            say = reasons.NETWORK_UNKNOWN(node=str(node))
            yield Finding(
                f"rules-{node.pk}",
                say,
                reasons.NETWORK_UNBOUND(error=as_reason(node.error)),
            )
    foreign = [node for node in data.nodes if node.condition == NodeCondition.WRONG_NETWORK]
    for number, group in enumerate(grouped(foreign)):
        say = reasons.NODE_FOREIGN(group=str(group[0]))
        yield Finding(
            f"foreign-{number}",
            say if len(group) == 1 else reasons.NODES_FOREIGN(group=len(group)),
            reasons.NODE_FOREIGN_CAUSE(error=as_reason(group[0].error)),
            count=len(group),
            acts=nodes_leave(group[0], data.nodes) if len(group) == 1 else (),
        )


def nodes_unreadable(data: CheckData) -> Iterator[Finding]:
    """No node of the pool can be read; the operator is told which chain they are of by `nodes_foreign`."""
    is_named = data.viewer.sees_pool and any(node.condition in CONDITIONS_FOREIGN for node in data.nodes)
    if unreadable_text(data.nodes) and not is_named:
        away = data.nodes[0]
        cause = as_reason(away.error) if str(away) in away.error else colon(away, away.error)
        why = cause if data.viewer.sees_pool else reasons.OPERATOR_FIXES()
        yield Finding(
            "nodes",
            reasons.NODES_UNREADABLE(),
            clauses(reasons.NOTHING_SENT(), why),
            per_day=sum(data.fault_fee_per_day(miner, miner.active_sectors) for miner in data.miners),
            breaks=(NODE,),
        )


def nodes_away(data: CheckData) -> Iterator[Finding]:
    """Some nodes do not answer or are behind."""
    away = [node for node in data.nodes if node.condition in (NodeCondition.AWAY, NodeCondition.LAGGING)]
    if not away or unreadable_text(data.nodes):
        return
    texts = [
        reasons.IS(name=str(node), what=MARKED(text=str(NodeCondition(node.condition).label)))
        for node in away
    ]
    well = sum(node.condition == NodeCondition.HEALTHY for node in data.nodes)
    reason = reasons.NODES_COUNTED(words=named(texts), well=well, nodes=counted(len(data.nodes), "node"))
    yield Finding(
        "nodes-away",
        reasons.NODES_AWAY(nodes=counted(len(away), "node")),
        reason,
        count=len(away),
    )


def nodes_forked(data: CheckData) -> Iterator[Finding]:
    """Nodes have another tipset than the pool's chain some epochs below its head."""
    forked = [node for node in data.nodes if node.condition == NodeCondition.FORKED]
    for number, group in enumerate(grouped(forked)):
        say = reasons.NODE_FORKED(node=str(group[0]))
        if len(group) > 1:
            say = reasons.NODES_FORKED(count=len(group))
        why = reasons.NODE_FORKED_CAUSE()
        yield Finding(f"forked-{number}", say, why, count=len(group))


def upgrade_unready(data: CheckData) -> Iterator[Finding]:
    """Nodes that will leave the chain at the next upgrade; without another one no window is proved then."""
    is_last = len(data.nodes_unready) == len(data.nodes)
    for number, group in enumerate(grouped(data.nodes_unready)):
        node, ready = group[0]
        left = data.clock.left_s(ready.upgrade.height) if data.clock is not None else None
        when = reasons.UPGRADE_IN(title=ready.upgrade.title, left=lasting(left))
        say = reasons.NODE_UNREADY(node=str(node), when=when, reason=as_reason(ready.reason))
        if len(group) > 1:
            say = reasons.NODES_UNREADY(group=len(group), when=when)
        yield Finding(
            f"upgrade-{number}",
            say,
            reasons.NODE_UNREADY_CAUSE(),
            count=len(group),
            per_day=fees_per_day(data, data.miners) if is_last and not number else 0,
            due_s=data.clock.starts_at(ready.upgrade.height) if data.clock is not None else None,
            due_label=reasons.UNTIL_UPGRADE(),
        )


def f3_stalled(data: CheckData) -> Iterator[Finding]:
    """Fast finality runs and has not moved for long: exchanges and bridges wait, rewards of F3 may follow."""
    if data.network is None or data.network.is_devnet:
        return
    # What the nodes answered is minutes old: it is compared with the head of that moment.
    answers = [
        (one.head_height, one.finalized)
        for one in data.f3.values()
        if one.is_running and one.head_height is not None and one.finalized is not None
    ]
    newest = max((final for _, final in answers), default=0)
    lag = min((height - final for height, final in answers), default=0)
    if lag > F3_LAG:
        yield Finding(
            "f3",
            reasons.F3_BEHIND(epochs=counted(lag, "epoch")),
            reasons.F3_NEWEST(newest=newest),
        )
