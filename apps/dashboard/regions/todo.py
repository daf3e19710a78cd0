"""What needs somebody, costly things first: the sentence of the overview, and the list below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Count
from django.urls import reverse

from apps.chain.states import NodeState
from apps.core.disk import DiskLevel, disk_space
from apps.dashboard import numbers
from apps.dashboard.lines.cards import plural
from apps.dashboard.lines.hosts import disk_share, disk_words, is_short_of_disk
from apps.dashboard.lines.messages import message_line
from apps.dashboard.pulse import GONE_WORD, nodes_word
from apps.dashboard.regions.counts import messages_stuck
from apps.messages.states import Wait
from apps.proving.states import Outlook
from apps.sectors.selectors import sectors_bound, sectors_visible, worker_is_away

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from apps.dashboard.regions.scene import Scene
    from apps.proving.models import Deadline
    from apps.sectors.models import Worker

NAMED: Final = 3
"""Names in a sentence."""
WHY_MAX: Final = 200
"""Longest reason that stands in the list; its page has the whole."""


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that needs a look: what it is, why, until when, and where it is mended."""

    key: str
    say: str
    why: str
    href: str
    label: str
    """Where the link leads, on its button."""
    is_costly: bool = False
    until: int | None = None
    """Seconds since 1970 at which it is too late."""
    left: str = ""

    @property
    def title(self) -> str:
        """As the head of a line; a name stays as it is written."""
        return f"The {self.say[4:]}" if self.say.startswith("the ") else self.say

    @property
    def tone(self) -> str:
        return "bad" if self.is_costly else "warn"


def todos(scene: Scene) -> list[Todo]:
    """Collect what needs somebody; what costs stands first."""
    found = [
        *chain_todos(scene),
        *upgrade_todos(scene),
        *fault_todos(scene),
        *deadline_todos(scene),
        *sector_todos(scene),
        *message_todos(scene),
        *signer_todos(scene),
        *disk_todos(scene),
        *host_todos(scene),
    ]
    return sorted(found, key=lambda todo: not todo.is_costly)


def named(names: Sequence[str]) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def chain_todos(scene: Scene) -> Iterator[Todo]:
    """No node can be read, one is of another chain, or the chain stands still."""
    pulse = scene.pulse
    yield from node_todos(scene)
    if pulse is not None and pulse.word == GONE_WORD:
        yield Todo(
            "chain",
            f"the chain has not moved for {numbers.time_left(pulse.age_s)}",
            "if only our nodes stand still, windows close without our proofs: look at them, or add one",
            reverse("chain"),
            "Nodes",
            is_costly=True,
        )


def node_todos(scene: Scene) -> Iterator[Todo]:
    """Nodes of another chain, and that no node answers; only the operator is told where they are."""
    foreign = [node for node in scene.nodes if node.state == NodeState.WRONG_NETWORK]
    for number, node in enumerate(foreign[:NAMED] if scene.viewer.is_operator else ()):
        is_other = scene.network is not None
        what = ": start it on the pool's chain, or disable it" if is_other else ""
        yield Todo(
            f"foreign-{number}",
            f"the node {node} is of another chain" if is_other else f"the node {node} cannot be used",
            node.error[: WHY_MAX - len(what)] + what,
            reverse("chain"),
            "Nodes",
            is_costly=True,
        )
    if nodes_word(scene.nodes) and not (foreign and scene.viewer.is_operator):
        away = scene.nodes[0]
        why = f"; {away}: {away.error}" if scene.viewer.is_operator else ", which the operator has to mend"
        yield Todo(
            "nodes",
            "no node of the pool can be read",
            f"nothing is sent or proven until one answers{why}"[:WHY_MAX],
            reverse("chain"),
            "Nodes",
            is_costly=True,
        )


def upgrade_todos(scene: Scene) -> Iterator[Todo]:
    """Nodes that will leave the chain at the next upgrade; the operator's business."""
    for number, (node, ready) in enumerate(scene.nodes_unready[:NAMED]):
        left = scene.clock.left_s(ready.upgrade.height) if scene.clock is not None else None
        when = f"the upgrade {ready.upgrade.title} in {numbers.time_left(left)}"
        yield Todo(
            f"upgrade-{number}",
            f"the node {node} is not ready for {when}: {ready.reason}",
            "it would leave the chain there: install a newer release",
            reverse("chain"),
            "Nodes",
            is_costly=True,
        )
    more = len(scene.nodes_unready) - NAMED
    if more > 0:
        say = f"{more} more nodes are not ready for the upgrade"
        yield Todo("upgrade-more", say, "", reverse("chain"), "Nodes", is_costly=True)


def fault_todos(scene: Scene) -> Iterator[Todo]:
    """Sectors that count as faulty."""
    miners = [miner for miner in scene.miners if miner.faulty_sectors]
    if not miners:
        return
    count = sum(miner.faulty_sectors for miner in miners)
    declared = sum(row.recovering for row in scene.deadlines.values())
    back = f"{declared} of them declared recovered" if declared else "files are checked before they come back"
    lone = reverse("miner", args=[miners[0].address]) if len(miners) == 1 and miners[0].address else ""
    yield Todo(
        "faults",
        f"{plural(count, 'sector')} faulty",
        f"of {named([str(miner.name or miner) for miner in miners])}; {back}",
        lone or reverse("miners"),
        "Deadlines",
        is_costly=True,
    )


def deadline_todos(scene: Scene) -> Iterator[Todo]:
    """Windows that were missed or may be."""
    for outlook, say in ((Outlook.MISSED, "missed"), (Outlook.AT_RISK, "at risk")):
        rows = [row for row in scene.deadlines.values() if row.outlook == outlook and row.live > 0]
        if rows:
            yield _deadline_todo(rows, scene, say=say)


def _deadline_todo(rows: Sequence[Deadline], scene: Scene, *, say: str) -> Todo:
    miners = {miner.pk: miner for miner in scene.miners}
    first = min(rows, key=lambda row: row.close_epoch)
    names = [f"{miners[row.miner_id].name or miners[row.miner_id]} {row.index}" for row in rows]
    why = f"{named(names)}: {first.reason}" if first.reason else named(names)
    ends = scene.clock if scene.clock is not None and first.close_epoch > scene.clock.epoch else None
    is_one = len({row.miner_id for row in rows}) == 1
    return Todo(
        f"deadlines-{first.outlook}",
        f"{plural(len(rows), 'deadline')} {say}",
        why[:WHY_MAX],
        reverse("miner", args=[miners[first.miner_id].address]) if is_one else reverse("miners"),
        "Deadlines",
        is_costly=True,
        until=ends.starts_at(first.close_epoch) if ends is not None else None,
        left=numbers.time_left(ends.left_s(first.close_epoch)) if ends is not None else "",
    )


def sector_todos(scene: Scene) -> Iterator[Todo]:
    """Sectors that wait for a decision."""
    count = scene.sector_counts["PAUSED"]
    if not count:
        return
    first = sectors_visible(scene.viewer).exclude(paused_at=None).first()
    why = "" if first is None else f"{first.miner.address} / {first.number}: {first.error}"[:WHY_MAX]
    lone = reverse("sector", args=[first.uuid]) if first is not None and count == 1 else ""
    yield Todo(
        "paused",
        f"{plural(count, 'sector')} failed and paused",
        why,
        lone or reverse("sectors") + "?state=paused",
        "Decide",
    )


def message_todos(scene: Scene) -> Iterator[Todo]:
    """Messages that will not land by themselves."""
    count = scene.messages_waiting.stuck
    if not count:
        return
    first = messages_stuck(scene.viewer, head=scene.head, network=scene.network).first()
    line = None if first is None else message_line(first, scene.names)
    why = "" if line is None else f"{line.method} of {line.sender or line.sender_short}: {line.why}"[:WHY_MAX]
    if first is not None and first.wait == Wait.IN_POOL:
        since = first.published_at or first.filled_at or first.created_at
        why += f", for {numbers.time_left((scene.at - since).total_seconds())}"
    href = line.href if line is not None else reverse("messages") + "?state=open"
    yield Todo("stuck", f"{plural(count, 'message')} stuck", why, href, "Doctor")


def signer_todos(scene: Scene) -> Iterator[Todo]:
    """Addresses for which nobody signs."""
    away = [wallet for wallet in scene.wallets if not wallet.is_served(scene.at)]
    if away:
        names = [wallet.label or numbers.shortened(wallet.address) for wallet in away]
        say = f"{plural(len(away), 'address', 'addresses')} without a signer"
        yield Todo("signer", say, f"messages of {named(names)} wait", reverse("wallets"), "Wallets")


def bound_words(scene: Scene, away: Sequence[Worker]) -> str:
    """Say what waits for hosts that are silent: only they have the files of what they were sealing."""
    bound = sectors_bound(scene.viewer, away).aggregate(count=Count("pk"), paid=Count("precommit_epoch"))
    if not bound["count"]:
        return "no sector waits for it, its other jobs go elsewhere"
    at_stake = f", {bound['paid']} with a deposit on the chain" if bound["paid"] else ""
    under_way = plural(bound["count"], "sector")
    return f"{under_way} under way{at_stake}: no other host has the files, so start it again"


def disk_todos(scene: Scene) -> Iterator[Todo]:
    """The disk of the console is nearly full."""
    space = disk_space()
    if not scene.viewer.is_operator or space.level is DiskLevel.OK:
        return
    left = f"; at the present rate it lasts {space.hours_left:.1f} h" if space.hours_left is not None else ""
    is_costly = space.level is DiskLevel.FULL
    say = "the console's disk is full" if is_costly else "the console's disk is nearly full"
    yield Todo("console-disk", say, f"{space.advice}{left}", reverse("hosts"), "Hosts", is_costly=is_costly)


def host_todos(scene: Scene) -> Iterator[Todo]:
    """Hosts that are silent or short of disk."""
    away = [worker for worker in scene.workers if worker_is_away(worker, now=scene.at)]
    if away:
        silent = (scene.at - max(worker.seen_at for worker in away)).total_seconds()
        why = f"not heard of for {numbers.time_left(silent)}; {bound_words(scene, away)}"
        say = f"{named([worker.name for worker in away])} away"
        yield Todo("away", say, why, reverse("hosts"), "Hosts")
    full = [worker for worker in scene.workers if worker not in away and is_short_of_disk(worker.hardware)]
    if full:
        worst = min(full, key=lambda worker: disk_share(worker.hardware) or 0.0)
        say = f"{named([worker.name for worker in full])} short of disk"
        why = f"{worst.name}: {disk_words(worst.hardware)}; no new sector starts there without room"
        yield Todo("disk", say, why, reverse("hosts"), "Hosts")
