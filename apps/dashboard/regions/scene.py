"""What most fragments need, read once: the clock, the network, deadlines, names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from apps.chain.selectors import head_current, nodes_all
from apps.chain.upgrades import nodes_unready
from apps.core.clock import now
from apps.dashboard.lines.messages import Names
from apps.dashboard.pulse import clock_of, network_known, pulse_of
from apps.dashboard.regions.counts import messages_waiting
from apps.miners.selectors import miners_visible
from apps.proving.models import Deadline, Partition, WindowPost
from apps.sectors.models import WorkerCommand
from apps.sectors.paces import host_paces
from apps.sectors.selectors import sectors_counts, workers_visible
from apps.wallets.selectors import wallets_visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.chain.models import Head, Node
    from apps.chain.upgrades import Readiness
    from apps.dashboard.pulse import EpochClock, Pulse
    from apps.dashboard.regions.counts import Waiting
    from apps.miners.models import Miner
    from apps.sectors.models import Worker
    from apps.sectors.paces import HostPace
    from apps.users.principals import Principal
    from apps.wallets.models import Wallet
    from poolsite.filecoin.policy import Network


POST_FIELDS: Final = ("miner_id", "deadline_index", "open_epoch", "close_epoch", "state", "landed_height")
"""What a strip needs of a proof; the proof itself is long."""


@dataclass(frozen=True)
class Scene:
    """One look at the pool by one viewer; each part is read when it is first asked for."""

    viewer: Principal

    @cached_property
    def at(self) -> datetime:
        """The moment of the look."""
        return now()

    @cached_property
    def head(self) -> Head | None:
        """The newest head."""
        return head_current()

    @cached_property
    def clock(self) -> EpochClock | None:
        """Epochs and wall time."""
        return clock_of(self.head, network=self.network, at=self.at)

    @cached_property
    def pulse(self) -> Pulse | None:
        """The chain in one line."""
        return pulse_of(self.head, network=self.network, at=self.at, nodes=self.nodes)

    @cached_property
    def nodes(self) -> list[Node]:
        """The enabled nodes; only the operator is told where they are."""
        return list(nodes_all())

    @cached_property
    def network(self) -> Network | None:
        """The network's rules."""
        return network_known()

    @cached_property
    def has_lab(self) -> bool:
        """Whether there is a devnet whose knobs the viewer may see."""
        return self.viewer.is_operator and any(node.is_devnet for node in self.nodes)

    @cached_property
    def nodes_unready(self) -> list[tuple[Node, Readiness]]:
        """The nodes that are not ready for the next upgrade, for the operator."""
        return nodes_unready(self.head.height) if self.viewer.is_operator and self.head is not None else []

    @cached_property
    def miners(self) -> list[Miner]:
        """The viewer's miners, those with most power first."""
        return sorted(miners_visible(self.viewer), key=lambda miner: (-miner.qa_power, miner.pk))

    @cached_property
    def deadlines(self) -> dict[tuple[int, int], Deadline]:
        """All deadlines of these miners, by the miner's pk and the deadline's index."""
        rows = Deadline.objects.filter(miner__in=[miner.pk for miner in self.miners]).order_by(
            "miner_id", "index"
        )
        return {(row.miner_id, row.index): row for row in rows}

    def deadlines_of(self, miner: Miner) -> Sequence[Deadline]:
        """One miner's deadlines in their order."""
        return [row for (miner_pk, _), row in self.deadlines.items() if miner_pk == miner.pk]

    @cached_property
    def posts(self) -> dict[int, dict[tuple[int, int], list[WindowPost]]]:
        """Proofs of the running and the past period, by the miner's pk, then deadline and opening epoch."""
        found: dict[int, dict[tuple[int, int], list[WindowPost]]] = {}
        if self.network is None or not self.deadlines:
            return found
        since = min(row.period_start for row in self.deadlines.values()) - self.network.proving_period
        rows = WindowPost.objects.filter(miner__in={pk for pk, _ in self.deadlines}, open_epoch__gte=since)
        for row in rows.only(*POST_FIELDS):
            windows = found.setdefault(row.miner_id, {})
            windows.setdefault((row.deadline_index, row.open_epoch), []).append(row)
        return found

    def posts_of(self, miner: Miner) -> dict[tuple[int, int], list[WindowPost]]:
        """One miner's proofs by deadline and opening epoch."""
        return self.posts.get(miner.pk, {})

    @cached_property
    def faults(self) -> dict[tuple[int, int], bool]:
        """Faulty sectors by the miner's pk and the number; True for those declared recovered."""
        if not any(row.faulty for row in self.deadlines.values()):
            return {}
        rows = Partition.objects.filter(deadline__miner__in=self.miners, deadline__faulty__gt=0)
        return {
            (miner_pk, number): number in recovering
            for miner_pk, faulty, recovering in rows.values_list("deadline__miner_id", "faulty", "recovering")
            for number in faulty
        }

    @cached_property
    def sector_counts(self) -> dict[str, int]:
        """Sectors under way by stage, and `PAUSED`."""
        return sectors_counts(self.viewer)

    @cached_property
    def workers(self) -> list[Worker]:
        """The viewer's workers with the jobs that they hold."""
        return list(workers_visible(self.viewer))

    @cached_property
    def host_paces(self) -> dict[str, HostPace]:
        """How fast the viewer's hosts were lately, by their names."""
        return host_paces(self.viewer)

    @cached_property
    def asked(self) -> dict[int, str]:
        """What workers were told last and have not done yet, by the worker's pk."""
        rows = WorkerCommand.objects.filter(worker__in=self.workers, done_at=None).order_by("pk")
        return dict(rows.values_list("worker_id", "op"))

    @cached_property
    def wallets(self) -> list[Wallet]:
        """The viewer's wallets."""
        return list(wallets_visible(self.viewer))

    @cached_property
    def messages_waiting(self) -> Waiting:
        """The viewer's messages that have not landed."""
        return messages_waiting(self.viewer, head=self.head, network=self.network)

    @cached_property
    def names(self) -> Names:
        """Names of addresses and miners."""
        return Names(
            wallets={wallet.address: wallet.label or "" for wallet in self.wallets},
            miners={miner.address: miner.name or miner.address for miner in self.miners if miner.address},
        )
