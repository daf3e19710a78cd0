"""What most fragments need, read once: the clock, the network, deadlines, names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from apps.chain.selectors import head_current
from apps.core.clock import now
from apps.dashboard.frame import epoch_clock, network_known
from apps.dashboard.lines.messages import Names
from apps.miners.selectors import miners_visible
from apps.proving.models import Deadline
from apps.wallets.selectors import wallets_visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.dashboard.frame import EpochClock
    from apps.miners.models import Miner
    from apps.users.principals import Principal
    from apps.wallets.models import Wallet
    from poolsite.filecoin.policy import Network


@dataclass(frozen=True)
class Scene:
    """One look at the pool by one viewer; each part is read when it is first asked for."""

    viewer: Principal

    @cached_property
    def at(self) -> datetime:
        """The moment of the look."""
        return now()

    @cached_property
    def clock(self) -> EpochClock | None:
        """Epochs and wall time."""
        return epoch_clock(self.at)

    @cached_property
    def network(self) -> Network | None:
        """The network's rules."""
        return network_known()

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
    def head_base_fee(self) -> int | None:
        """Base fee of the newest head, in attoFIL."""
        head = head_current()
        return None if head is None else int(head.base_fee)

    @cached_property
    def wallets(self) -> list[Wallet]:
        """The viewer's wallets."""
        return list(wallets_visible(self.viewer))

    @cached_property
    def names(self) -> Names:
        """Names of addresses and miners."""
        return Names(
            wallets={wallet.address: wallet.label or "" for wallet in self.wallets},
            miners={miner.address: miner.name or miner.address for miner in self.miners if miner.address},
        )
