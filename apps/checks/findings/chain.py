"""Checks of the chain and the nodes that follow it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.utils.translation import gettext

from apps.chain.selectors.status import BEHIND_WORD, GONE_WORD, LATE_WORD, unreadable_text
from apps.chain.states import CONDITIONS_FOREIGN, NodeCondition
from apps.checks.findings.acts import nodes_leave
from apps.checks.findings.parts import NODE, process_part
from apps.checks.findings.results import Finding
from apps.checks.findings.text import grouped, named
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import fees_per_day
from apps.core.formatting import plural, time_left
from apps.core.languages import colon_text
from apps.core.stored_texts import stored_text

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
            gettext("the chain has not advanced for {age_s}").format(age_s=time_left(chain_status.age_s)),
            _stalled_text(data),
            per_day=per_day,
            breaks=(NODE,),
            needs=STALLED_BY,
        )
    if chain_status.word == str(BEHIND_WORD):
        yield Finding(
            "chain",
            gettext("the newest head is {old_s} old").format(old_s=time_left(chain_status.old_s)),
            gettext(
                "our nodes are catching up, or this machine's clock is ahead: windows are not proven in time"
            ),
            per_day=per_day,
            breaks=(NODE,),
            needs=STALLED_BY,
        )


def _stalled_text(data: CheckData) -> str:
    """Return what to look at: the nodes, unless nobody here reads their heads."""
    for process in data.processes:
        if process.name == "follower" and process.state == "silent":
            return gettext(
                "the follower, which reads the nodes' heads, is silent: end that process so that it is "
                "started again, and look in its log"
            )
        if process.name == "follower" and process.state == "down":
            return gettext(
                "the follower, which reads the nodes' heads, is down: it is started again by itself, and the "
                "end of follower.log says why it ends"
            )
    return gettext(
        "if only our nodes have stalled, windows close without our proofs: check them, or add a node"
    )


def head_late(data: CheckData) -> Iterator[Finding]:
    """The next head is overdue."""
    chain_status = data.chain_status
    if chain_status is None or chain_status.tone != "warn" or chain_status.old_s < LATE_LEAST_S:
        return
    if chain_status.word == str(LATE_WORD):
        say = gettext("no new head for {age_s}").format(age_s=time_left(chain_status.age_s))
        why = gettext("four epochs in a row without a block are rare")
        yield Finding("head-late", say, why, needs=STALLED_BY)
    else:
        say = gettext("the newest head is {old_s} old").format(old_s=time_left(chain_status.old_s))
        why = gettext("our nodes are catching up, or this machine's clock is ahead")
        yield Finding("head-late", say, why, needs=STALLED_BY)


def nodes_foreign(data: CheckData) -> Iterator[Finding]:
    """Nodes of another chain, or of a network whose rules nobody has told."""
    for node in data.nodes:
        if node.condition == NodeCondition.RULES_MISSING:
            say = gettext("the network parameters of node {node} are unknown").format(node=node)
            yield Finding(
                f"rules-{node.pk}",
                say,
                gettext("the pool is not bound to its network: {error}").format(
                    error=stored_text(node.error)
                ),
            )
    foreign = [node for node in data.nodes if node.condition == NodeCondition.WRONG_NETWORK]
    for number, group in enumerate(grouped(foreign)):
        say = gettext("node {group} is on another network").format(group=group[0])
        yield Finding(
            f"foreign-{number}",
            say
            if len(group) == 1
            else gettext("{group} more nodes are on another network").format(group=len(group)),
            gettext("{error}: restart it on the pool's network, or disable it").format(
                error=stored_text(group[0].error)
            ),
            count=len(group),
            acts=nodes_leave(group[0], data.nodes) if len(group) == 1 else (),
        )


def nodes_unreadable(data: CheckData) -> Iterator[Finding]:
    """No node of the pool can be read; the operator is told which chain they are of by `nodes_foreign`."""
    is_named = data.viewer.sees_pool and any(node.condition in CONDITIONS_FOREIGN for node in data.nodes)
    if unreadable_text(data.nodes) and not is_named:
        away = data.nodes[0]
        error = stored_text(away.error)
        cause = error if str(away) in error else colon_text(away, error)
        why = f"; {cause}" if data.viewer.sees_pool else gettext("; the operator has to fix this")
        yield Finding(
            "nodes",
            gettext("no node can be read"),
            gettext("nothing is sent or proven until one answers{why}").format(why=why),
            per_day=sum(data.fault_fee_per_day(miner, miner.active_sectors) for miner in data.miners),
            breaks=(NODE,),
        )


def nodes_away(data: CheckData) -> Iterator[Finding]:
    """Some nodes do not answer or are behind."""
    away = [node for node in data.nodes if node.condition in (NodeCondition.AWAY, NodeCondition.LAGGING)]
    if not away or unreadable_text(data.nodes):
        return
    texts = [f"{node} {NodeCondition(node.condition).label}" for node in away]
    well = sum(node.condition == NodeCondition.HEALTHY for node in data.nodes)
    reason = gettext("{words}; {well} of {nodes} healthy").format(
        words=named(texts), well=well, nodes=plural(len(data.nodes), "node")
    )
    yield Finding(
        "nodes-away",
        gettext("{nodes} unhealthy").format(nodes=plural(len(away), "node")),
        reason,
        count=len(away),
    )


def nodes_forked(data: CheckData) -> Iterator[Finding]:
    """Nodes have another tipset than the pool's chain some epochs below its head."""
    forked = [node for node in data.nodes if node.condition == NodeCondition.FORKED]
    for number, group in enumerate(grouped(forked)):
        say = gettext("node {node} is on another branch of the chain").format(node=group[0])
        if len(group) > 1:
            say = gettext("{count} more nodes are on another branch of the chain").format(count=len(group))
        why = gettext(
            "it is not read: the pool follows another branch, the heaviest of its nodes' if that is clearly "
            "heavier. Compare with a block explorer, and upgrade, resync or disable the wrong node"
        )
        yield Finding(f"forked-{number}", say, why, count=len(group))


def upgrade_unready(data: CheckData) -> Iterator[Finding]:
    """Nodes that will leave the chain at the next upgrade; without another one no window is proved then."""
    is_last = len(data.nodes_unready) == len(data.nodes)
    for number, group in enumerate(grouped(data.nodes_unready)):
        node, ready = group[0]
        left = data.clock.left_s(ready.upgrade.height) if data.clock is not None else None
        when = gettext("upgrade {title} in {left}").format(title=ready.upgrade.title, left=time_left(left))
        say = gettext("node {node} is not ready for {when}: {reason}").format(
            node=node, when=when, reason=ready.reason
        )
        if len(group) > 1:
            say = gettext("{group} more nodes are not ready for {when}").format(group=len(group), when=when)
        yield Finding(
            f"upgrade-{number}",
            say,
            gettext("it would fall off the chain at the upgrade: install a newer release"),
            count=len(group),
            per_day=fees_per_day(data, data.miners) if is_last and not number else 0,
            due_s=data.clock.starts_at(ready.upgrade.height) if data.clock is not None else None,
            due_label=gettext("until the upgrade"),
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
            gettext("F3 is {epochs} behind").format(epochs=plural(lag, "epoch")),
            gettext(
                "the newest certificate on any node is for epoch {newest}; block production is not affected"
            ).format(newest=newest),
        )
