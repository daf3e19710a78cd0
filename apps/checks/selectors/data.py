"""What checks and pages read of the pool: each part once per request, limited to what the viewer may see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from django.db.models import QuerySet

from apps.blocks.models import F3Lease, Round
from apps.blocks.selectors.finality import F3Participation, f3_read
from apps.blocks.selectors.foreign_blocks import foreign_blocks
from apps.blocks.selectors.luck import Luck, lucks_shared
from apps.blocks.selectors.miners_without_rounds import miners_unbegun, miners_unstarted, undrawn_epochs
from apps.blocks.selectors.rounds import Undrawn, rounds_undrawn, wins_lost
from apps.chain.models import Head, Node
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.nodes import nodes_all
from apps.chain.selectors.status import ChainStatus, EpochClock, chain_status_of, clock_of, network_known
from apps.chain.selectors.upgrades import Readiness, nodes_unready
from apps.checks.selectors.alerts import alert_began, alerts_last_run, alerts_open
from apps.checks.selectors.backups import backup_last_taken
from apps.checks.selectors.check_settings import severities_set
from apps.checks.selectors.rare import COUNTED_MAX, Rare, rare_read, rare_rows
from apps.checks.selectors.used_wallets import wallets_used
from apps.core.clock import DAY_S, now
from apps.core.processes import Process, processes_all
from apps.gateway.models import ProverConnection, SignerConnection
from apps.gateway.selectors.connections import connections_failed
from apps.market.models import MinerMarket
from apps.market.selectors.deals import (
    DoorStatus,
    deals_starting,
    doors_status,
    doors_switched_on,
    markets_publishing,
)
from apps.market.selectors.deals_late import LateDeals, deals_late
from apps.messages.models import Message, Recovery, Sender
from apps.messages.selectors.approvals import messages_unapproved
from apps.messages.selectors.failed import messages_failed
from apps.messages.selectors.foreign import FOREIGN_SHOWN, senders_odd
from apps.messages.selectors.queue_costs import LEARN_DAYS
from apps.messages.selectors.recovery import recovery_row
from apps.messages.selectors.replaced import messages_replaced
from apps.messages.selectors.senders import senders_visible
from apps.messages.selectors.spend import spend_pace
from apps.messages.selectors.stuck import Waiting, messages_stuck, messages_waiting
from apps.miners.models import Miner, RewardEstimate
from apps.miners.selectors.miners import miners_visible, reward_estimate
from apps.miners.selectors.roles import UnheldRole, roles_unheld
from apps.miners.selectors.senders import senders_chosen
from apps.miners.states import Use
from apps.pieces.models import BlockIndex
from apps.pieces.selectors import indexes_wrong
from apps.proving.models import Deadline, Dispute, SectorCheck
from apps.proving.selectors.deadlines import deadlines_by_key
from apps.proving.selectors.disputes import disputes_latest
from apps.proving.selectors.faults import sectors_bad
from apps.sectors.models import ClaimsEnding, SealTarget, Sector
from apps.sectors.selectors.expirations import claims_ending
from apps.sectors.selectors.host_groups import HostCounts, host_counts
from apps.sectors.selectors.sector_etas import precommit_times
from apps.sectors.selectors.sectors import sectors_counts, sectors_visible
from apps.sectors.selectors.store_groups import StoreMarks, store_marks
from apps.sectors.selectors.targets import targets_paused
from apps.users.rules.principals import Principal
from apps.wallets.models import Wallet
from apps.wallets.selectors import wallet_labels, wallets_visible
from poolsite.filecoin.pledge import block_reward, expected_reward
from poolsite.filecoin.policy import Network

SENDERS_MAX: Final = 1_000  # counted one by one
UNDRAWN_SHOWN: Final = timedelta(minutes=10)
FAILED_MAX: Final = 20
"""Failed messages that are counted; of more the check says "at least"."""


@dataclass(frozen=True)
class CheckData:
    """The pool as one viewer sees it; each part is read when it is first needed."""

    viewer: Principal

    @cached_property
    def at(self) -> datetime:
        """The moment of the evaluation."""
        return now()

    @cached_property
    def evaluated_at(self) -> datetime | None:
        """Return when the checks were evaluated: now, unless their last result is shown; None: not yet."""
        return self.at

    @cached_property
    def alerts_began(self) -> dict[str, dict[str, float]]:
        """Return by check since when its open alert fails, by the key of what it found if that is one."""
        return {name: times for name, row in alerts_open(self.viewer).items() if (times := alert_began(row))}

    @cached_property
    def rare(self) -> Rare:
        """Of what the whole pool has any row: what it has none of is not asked for."""
        return rare_read(self.at)

    @cached_property
    def severities(self) -> dict[str, str]:
        """Severities that the operator set, by check."""
        return severities_set() if self.rare.severities_set else {}

    @cached_property
    def head(self) -> Head | None:
        """The newest head."""
        return head_current()

    @cached_property
    def network(self) -> Network | None:
        """The network's rules; None until a node has told them."""
        return network_known()

    @cached_property
    def clock(self) -> EpochClock | None:
        """Epochs and wall time; None before the first head."""
        return clock_of(self.head, network=self.network, at=self.at)

    @cached_property
    def chain_status(self) -> ChainStatus | None:
        """Return how old the newest head is; None before the first one."""
        return chain_status_of(self.head, network=self.network, at=self.at, nodes=self.nodes)

    @cached_property
    def nodes(self) -> list[Node]:
        """The enabled nodes; only the operator is told where they are."""
        return list(nodes_all())

    @cached_property
    def nodes_unready(self) -> list[tuple[Node, Readiness]]:
        """The nodes that are not ready for the next upgrade, for the operator."""
        return nodes_unready(self.head.height) if self.viewer.sees_pool and self.head is not None else []

    @cached_property
    def processes(self) -> list[Process]:
        """The console's processes, for the operator."""
        return processes_all(at=self.at) if self.viewer.sees_pool else []

    @cached_property
    def backup_last(self) -> datetime | None:
        """Return when the last backup was taken with `make backup`."""
        return backup_last_taken()

    @cached_property
    def miners(self) -> list[Miner]:
        """The viewer's miners, those with most power first."""
        rows = miners_visible(self.viewer).select_related("tenant", "f3_lease")
        return sorted(rows, key=lambda miner: (-miner.qa_power, miner.pk))

    @cached_property
    def f3_leases(self) -> list[F3Lease]:
        """The leases of these miners in fast finality; their rows come with the miners."""
        return [lease for miner in self.miners if (lease := getattr(miner, "f3_lease", None)) is not None]

    @cached_property
    def deadlines(self) -> dict[tuple[int, int], Deadline]:
        """All deadlines of these miners, by the miner's pk and the deadline's index."""
        return deadlines_by_key(self.miners)

    @cached_property
    def wins_lost(self) -> list[Round]:
        """The wins of the last day without a block on the chain, newest first."""
        return wins_lost(self.miners, since=self.at - timedelta(days=1)) if self.rare.wins_lost else []

    @cached_property
    def blocks_foreign(self) -> dict[int, int]:
        """Miners of which another program makes blocks, too, with the newest epoch of one."""
        return foreign_blocks(self.miners) if self.rare.blocks_foreign else {}

    @cached_property
    def blocks_unstarted(self) -> list[Miner]:
        """The miners that moved in and that nobody makes blocks for since."""
        if self.head is None or self.network is None:
            return []
        return miners_unstarted(
            self.miners, height=self.head.height, epoch_s=self.network.epoch_s, now=self.at
        )

    @cached_property
    def rounds_not_run(self) -> list[Undrawn]:
        """The miners of which rounds could not be drawn lately."""
        return rounds_undrawn(self.miners, since=self.at - UNDRAWN_SHOWN)

    @cached_property
    def lucks(self) -> dict[int, dict[int, Luck]]:
        """The luck of the miners with power in some spans, by the miner's pk and the days."""
        return lucks_shared([miner for miner in self.miners if miner.qa_power], now=self.at)

    @cached_property
    def f3(self) -> dict[str, F3Participation]:
        """Return what each node said last of fast finality."""
        return f3_read()

    @cached_property
    def miners_without_rounds(self) -> list[Miner]:
        """The miners that blocks are to be made for and whose rounds are not drawn."""
        if self.head is None or self.network is None:
            return []
        powered = [miner for miner in self.miners if miner.qa_power]
        since = self.head.height - undrawn_epochs(self.network.epoch_s)
        return miners_unbegun(powered, since_epoch=since, now=self.at) if powered else []

    @cached_property
    def disputes(self) -> list[Dispute]:
        """Disputes of the miners' proofs within the time in which proofs can be disputed."""
        if self.head is None or self.network is None or not self.rare.disputes:
            return []
        since = self.head.height - max(self.network.dispute_window, self.network.proving_period)
        return disputes_latest([miner.pk for miner in self.miners], since_height=since)

    @cached_property
    def bad_sectors(self) -> dict[int, list[SectorCheck]]:
        """Sectors whose files are bad and that are not faulty yet, by the miner's pk."""
        found: dict[int, list[SectorCheck]] = {}
        for row in sectors_bad([miner.pk for miner in self.miners]) if self.rare.sectors_bad else ():
            found.setdefault(row.miner_id, []).append(row)
        return found

    @cached_property
    def roles_unheld(self) -> dict[int, list[UnheldRole]]:
        """Exclusive roles that hosts were given and none holds, by the miner's pk."""
        return roles_unheld(self.miners, now=self.at) if self.rare.roles else {}

    @cached_property
    def deals_starting(self) -> dict[Miner, tuple[int, int]]:
        """By miner: how many deals start within a day without data or message, and the first start."""
        if self.head is None or self.network is None or not self.rare.deals_waiting:
            return {}
        by_key = {miner.pk: miner for miner in self.miners}
        within = int(DAY_S / self.network.epoch_s)
        rows = deals_starting(list(by_key), until=self.head.height + within)
        return {by_key[key]: (count, first) for key, count, first in rows}

    @cached_property
    def deals_unsealed(self) -> dict[Miner, LateDeals]:
        """By miner: published deals that start within a week, and will not be sealed before."""
        if self.head is None or self.network is None or not self.rare.deals_waiting:
            return {}
        until = self.head.height + int(7 * DAY_S / self.network.epoch_s)
        return deals_late(self.miners, height=self.head.height, until=until, network=self.network)

    @cached_property
    def deal_senders(self) -> dict[Miner, str]:
        """By miner whose deals are published: the address that sends those messages."""
        if not (self.rare.doors or self.rare.deals_waiting):
            return {}
        miners = [one.miner for one in markets_publishing().filter(miner__in=self.miners)]
        senders = senders_chosen(miners, uses=(Use.COMMIT,))
        return {miner: uses[Use.COMMIT] for miner, uses in senders.items()}

    @cached_property
    def indexes_wrong(self) -> list[BlockIndex]:
        """Block indexes of which a sample found what it should not, and those that could not be made."""
        if not self.rare.indexes_wrong:
            return []
        rows = indexes_wrong().filter(piece__miner__in=self.miners).select_related("piece__miner")
        return list(rows[:COUNTED_MAX])

    @cached_property
    def doors_down(self) -> list[tuple[MinerMarket, DoorStatus]]:
        """Libp2p doors that are switched on and do not answer."""
        keys = {miner.pk for miner in self.miners} if self.rare.doors else set()
        markets = [one for one in doors_switched_on() if one.miner_id in keys] if keys else []
        found = doors_status(markets, now=self.at)
        return [(one, found[one.miner_id]) for one in markets if found[one.miner_id].reason]

    @cached_property
    def reward(self) -> RewardEstimate | None:
        """The chain's estimates of reward and power; None until a node has told them."""
        return reward_estimate()

    @cached_property
    def sector_counts(self) -> dict[str, int]:
        """Sectors in progress by stage, and `PAUSED`."""
        return sectors_counts(self.viewer)

    @cached_property
    def sectors(self) -> QuerySet[Sector]:
        """The viewer's sectors; each check that asks for some reads those."""
        return sectors_visible(self.viewer)

    @cached_property
    def precommit_times(self) -> dict[tuple[int, str], float]:
        """Seconds that sectors took lately until their pre-commit landed, by proof type and state."""
        return precommit_times(self.viewer)

    @cached_property
    def targets_paused(self) -> list[SealTarget]:
        """Targets of the viewer's miners that something keeps from pledging."""
        return targets_paused(self.miners) if self.rare.targets_paused else []

    @cached_property
    def claims_ending(self) -> list[ClaimsEnding]:
        """The viewer's miners with verified claims that end soon."""
        return claims_ending(self.miners) if self.rare.claims_ending else []

    @cached_property
    def host_counts(self) -> HostCounts:
        """Return how many of the viewer's hosts are in each condition."""
        return host_counts(self.viewer, now=self.at)

    @cached_property
    def store_marks(self) -> StoreMarks:
        """Return which of the viewer's stores need somebody."""
        return store_marks(self.viewer, now=self.at)

    @cached_property
    def wallets_used(self) -> list[Wallet]:
        """Those that a miner names, that have open messages, or that paid gas lately: few of many."""
        return wallets_used(self.viewer, self.miners, paid=self.spend_pace, has_open=self.rare.messages_open)

    def is_signed_for(self, miner: Miner) -> bool:
        """Return whether a signer with the key of a miner's worker is connected."""
        return any(
            wallet.address == miner.worker and wallet.is_served(self.at) for wallet in self.wallets_used
        )

    @cached_property
    def wallet_names(self) -> dict[str, str]:
        """Labels of the viewer's wallets that have one, by address."""
        return wallet_labels(self.viewer)

    @cached_property
    def odd_senders(self) -> list[Sender]:
        """The viewer's senders with a nonce gap, paused ones, and those that another program uses."""
        if not self.rare.senders_odd:
            return []
        odd = senders_odd(foreign_since=self.at - FOREIGN_SHOWN)
        return list(senders_visible(self.viewer).filter(odd)[:SENDERS_MAX])

    @cached_property
    def messages_waiting(self) -> Waiting:
        """The viewer's messages that have not landed."""
        if self.rare.messages_open:
            return messages_waiting(self.viewer, head=self.head, network=self.network)
        return Waiting(signed=0, queued=0, stuck=0)

    @cached_property
    def stuck_messages(self) -> QuerySet[Message]:
        """Those of them that somebody has to look at, the most urgent first."""
        return messages_stuck(self.viewer, head=self.head, network=self.network)

    @cached_property
    def first_stuck(self) -> Message | None:
        """The most urgent of them; read only if there is one."""
        return self.stuck_messages.first() if self.messages_waiting.stuck else None

    @cached_property
    def unapproved_messages(self) -> tuple[list[Message], bool]:
        """The viewer's messages that wait for a second person, and whether there are more."""
        return rare_rows(messages_unapproved(self.viewer), has_any=self.rare.messages_unapproved)

    @cached_property
    def replaced_messages(self) -> tuple[list[Message], bool]:
        """The viewer's messages whose nonce another message used, and whether there are more."""
        return rare_rows(messages_replaced(self.viewer), has_any=self.rare.messages_replaced)

    @cached_property
    def failed_messages(self) -> list[Message]:
        """The viewer's messages that failed lately, newest first; one more than are counted."""
        has_any = self.rare.messages_given_up or self.rare.messages_refused
        return messages_failed(self.viewer, now=self.at, limit=FAILED_MAX + 1) if has_any else []

    @cached_property
    def spend_pace(self) -> dict[str, tuple[int, int]]:
        """Return what the gas of each wallet cost in `LEARN_DAYS`, and of how many days that is."""
        return spend_pace(wallets_visible(self.viewer).values("address"), days=LEARN_DAYS, now=self.at)

    @cached_property
    def failed_connections(self) -> list[SignerConnection | ProverConnection]:
        """Signers and provers of which a request failed in the last day."""
        has_any = self.rare.signers_failed or self.rare.provers_failed
        return connections_failed(self.viewer, since=self.at - timedelta(days=1)) if has_any else []

    @cached_property
    def alerts_last_run(self) -> datetime | None:
        """Return when alerts were last evaluated; None if it is not known, or nobody is to be notified."""
        return alerts_last_run() if self.rare.channels else None

    @cached_property
    def restored(self) -> Recovery:
        """Return what is known of the last restore, and of the recovery after it."""
        return recovery_row()

    @property
    def recovery(self) -> Recovery | None:
        """The recovery in which messages or sectors are still read back."""
        is_open = self.restored.since is not None or self.restored.sectors_since is not None
        return self.restored if is_open else None

    @property
    def reward_per_win(self) -> int:
        """Return what one win brings now, without tips, in attoFIL; 0 if it is not known."""
        return 0 if self.reward is None else int(block_reward(self.reward.reward.value, 1))

    def reward_per_day(self, miner: Miner) -> int:
        """Return the block rewards that a miner can expect in a day, in attoFIL; 0 if they are not known."""
        return self.reward_of_power(miner.qa_power) if miner.has_min_power else 0

    def reward_of_power(self, power: int) -> int:
        """Return the block rewards that so many quality-adjusted bytes bring in a day, in attoFIL."""
        if self.reward is None or self.network is None:
            return 0
        epochs = DAY_S // self.network.epoch_s
        return expected_reward(self.reward.reward, self.reward.power, power, epochs=epochs)

    def rewards_of(self, sectors: Iterable[Sector]) -> int:
        """Return the block rewards that these active sectors bring in a day, by their miners' average."""
        counts = Counter(sector.miner_id for sector in sectors)
        miners = {miner.pk: miner for miner in self.miners}
        return sum(
            self.reward_per_day(miners[key])
            * min(count, miners[key].active_sectors)
            // max(miners[key].active_sectors, 1)
            for key, count in counts.items()
            if key in miners
        )

    def fault_fee_per_day(self, miner: Miner, sectors: int) -> int:
        """Return what so many faulty sectors of a miner cost each day, in attoFIL; 0 if it is not known.

        The chain takes the fee at the end of each proving period.  Power is the miner's average per sector.
        """
        if not sectors or self.reward is None or self.network is None:
            return 0
        period_s = self.network.proving_period * self.network.epoch_s
        return self.reward.fault_fee(self.quality_of(miner, sectors)) * DAY_S // period_s

    def dispute_penalty(self, miner: Miner, sectors: int) -> int:
        """Return what a proof of so many sectors costs a miner that loses a dispute; 0 if it is not known."""
        if not sectors or self.reward is None:
            return 0
        return self.reward.dispute_penalty(self.quality_of(miner, sectors))

    def quality_of(self, miner: Miner, sectors: int) -> int:
        """Return the quality-adjusted power of so many sectors of a miner, by its average, in bytes."""
        quality = sectors * miner.sector_size
        return quality * miner.qa_power // miner.raw_power if miner.raw_power else quality
