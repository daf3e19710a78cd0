"""The service that makes blocks: a round per epoch for all miners with power, by one leader, without Celery.

Further services stand by.  Killed at any line it goes on where its rows say: a round that was won is drawn
again, which gives the same, and a header that was reserved is the one that gets signed.
Where no miner has power it asks no node anything; but whether one answers, beside a second machine (`Reach`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Final

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext_noop

from apps.blocks.rounds.chores import chores_do, leases_renew, mining_read
from apps.blocks.rounds.context import AWAY_S, RoundContext, blocks_database, blocks_database_retry
from apps.blocks.rounds.miner_round import MinerRound
from apps.blocks.rounds.mining_base import Base
from apps.blocks.rounds.nodes import BlockNodes
from apps.blocks.rounds.providers import BlockProviders
from apps.blocks.rounds.selection import GATHER_SHARE, MessageSelection
from apps.blocks.rounds.timing import NULL_ROUNDS_MAX, EpochClock
from apps.blocks.selectors.mining_miners import MiningMiner
from apps.blocks.services.rounds import rounds_read, rounds_record
from apps.chain.errors import NetworkUnknown, NodeRefused, NodeUnavailable
from apps.chain.node.link import NodeLink
from apps.chain.node.reach import Reach
from apps.core.ability import Ability
from apps.core.database_threads import DatabaseThreads
from apps.core.leader import BLOCKS_LOCK, RETRY_S, Leadership
from apps.core.liveness import HEARTBEAT_EVERY_S, heartbeat_send
from apps.core.marked_texts import gettext
from apps.core.process_leases import Turns
from apps.gateway.hub.client import HubClient
from poolsite.filecoin.policy import Network

log = structlog.get_logger(__name__)

DEVNET_NULLS_MAX: Final = 2
"""Null rounds in a row that are made on a devnet, whose built-in miner hardly ever loses three."""
IDLE_S: Final = 2.0
"""Between two looks for a miner with power, while there is none."""
TURN_S: Final = 1.0
"""Longest wait between two turns, and how long the lists of miners and nodes count."""
POLL_SHARE: Final = 0.05
"""Of an epoch: how often the head is asked for while one is due."""
SETTLE_S: Final = 2.0
"""Least time between two looks whether the head moved, and with it what became of blocks."""
SUM_UP_S: Final = 60.0
LEASES_S: Final = 15.0
"""Longest wait between two looks at the leases of F3, which are some instances of half a minute long."""
NO_LEASES_S: Final = 60.0
"""The same where no node runs F3."""
finality_database: Final = DatabaseThreads("blocks-f3", 1, is_steady=True)
"""A thread of its own: it waits for nodes, and no round may."""


class BlockProducer:
    """One service process."""

    def __init__(self, *, nodes: BlockNodes | None = None, providers: BlockProviders | None = None) -> None:
        self.nodes = nodes
        """Given by tests; else the pool's, as they are at each round."""
        self.providers = providers
        self.base: Base | None = None
        self.base_since = 0.0
        """Of the monotonic clock: since when each answer named it as the head."""
        self.origin = 0.0
        self.begun_epoch = -1
        """The newest epoch whose round was begun."""
        self.miners: list[MiningMiner] = []
        self.rounds: set[asyncio.Task[None]] = set()
        self.turns = Turns()
        self.ability = Ability(Reach())
        self._read_at = self._settled_at = self._summed_at = self._beaten_at = -SUM_UP_S
        self._settled_key = ""
        self._last_warning = ("", "")
        self.network: Network | None = None
        self._links: tuple[list[NodeLink], list[NodeLink]] = ([], [])
        self._pool_nodes: BlockNodes | None = None
        self._chores: asyncio.Task[None] | None = None
        self._leases: asyncio.Task[None] | None = None
        self._leases_due = 0.0

    async def run(self, *, asked_to_stop: Callable[[], bool]) -> None:
        """Make blocks while leading, until asked to stop; rounds in progress are finished."""
        hub = HubClient(settings.REDIS_URL)
        self.providers = self.providers or BlockProviders(hub)
        with Leadership(BLOCKS_LOCK) as leadership:
            self.ability.stand_back = leadership.resign
            try:
                leads, checked_at = False, 0.0
                while not asked_to_stop():
                    if not leads or time.monotonic() - checked_at > RETRY_S:
                        leads = await asyncio.to_thread(
                            lambda: leadership.leads(stands_back=self.ability.stands_back)
                        )
                        checked_at = time.monotonic()
                        if not leads and leadership.is_led_elsewhere:
                            self._forget()
                    self.turns.begin()
                    self._beat("leads" if leads else self.ability.standby_text)
                    await (self.turn() if leads else asyncio.sleep(RETRY_S))
                await self.finish()
            finally:
                for task in self.rounds:
                    task.cancel()
                await hub.stop()

    async def finish(self) -> None:
        """Wait for what runs beside the turns."""
        beside = [*self.rounds, *(task for task in (self._chores, self._leases) if task is not None)]
        await asyncio.gather(*beside, return_exceptions=True)

    def _forget(self) -> None:
        """Forget the head and the epoch, so that leading again begins as after a start.

        Whoever stood by did not see how long the head stood, and may have counted epochs by a wrong clock.
        """
        self.base = None
        if not self.rounds:  # one that still runs would begin a second time
            self.begun_epoch = -1

    async def turn(self) -> None:
        """Begin the round that is due, then wait a little."""
        try:
            await asyncio.sleep(await self._turn())
        except (OperationalError, InterfaceError) as error:
            self._warn("database_away", str(error).strip())
            await asyncio.sleep(AWAY_S)
        except (NodeUnavailable, NodeRefused, NetworkUnknown) as error:
            self._warn("head_unknown", error.reason)
            self.base_since = time.monotonic()  # a node that comes back is given time to find the newest head
            await asyncio.sleep(AWAY_S)

    async def _turn(self) -> float:
        """Return how long to wait before the next turn."""
        self._chores_begin()
        self._leases_begin()
        rest_s = self._rest_s()
        if rest_s > 0:
            return rest_s
        if time.monotonic() - self._read_at > TURN_S:
            await self._miners_read()
        nodes, network = self.nodes or self._pool_nodes, self.network
        if not self.miners or network is None or nodes is None:
            self.base = None
            return IDLE_S
        times = clock_of(network)
        base = await nodes.head_heaviest(known=self.base)
        now = time.time()
        if base is not self.base:
            self.base, self.origin = base, times.origin(base.timestamp, seen=now)
            self.base_since = time.monotonic()
            if base.timestamp > now + 1 and not network.is_devnet:
                self._warn(
                    "clock_behind",
                    gettext("the head is {seconds:.1f} s ahead of this machine's clock").format(
                        seconds=base.timestamp - now
                    ),
                )
        nulls = times.null_rounds(self.origin, now=now)
        if network.is_devnet and nulls > DEVNET_NULLS_MAX:
            # Its time stood still, or ours did: the epochs since the head did not pass.
            self.origin, self.begun_epoch, nulls = now, base.height, 0
        epoch = base.height + nulls + 1
        is_due = epoch > self.begun_epoch and now >= times.begins(self.origin, nulls)
        if is_due and nulls > NULL_ROUNDS_MAX and not await self._is_halted(nodes, network):
            self._warn("node_behind", gettext("the head is {epochs} epochs old").format(epochs=nulls))
        elif is_due:
            self.begun_epoch = epoch
            self._begin(self._round(nodes, network, times, nulls))
        return self._rest_s() or min(POLL_SHARE * network.epoch_s, TURN_S)

    async def _is_halted(self, nodes: BlockNodes, network: Network) -> bool:
        """Return whether nobody makes blocks, so that ours must move the chain: the node fetches none.

        A node that was just started has an old head, too: for as many epochs as a chain may be empty it is
        looked whether it finds a newer one.  Whoever is alone on a fork loses by it what he could not win.
        """
        stood_s = time.monotonic() - self.base_since
        return stood_s > NULL_ROUNDS_MAX * network.epoch_s and not await nodes.is_syncing()

    def _rest_s(self) -> float:
        """Return how long nothing can be due; 0 where the head has to be asked for."""
        if self.base is None or self.network is None:
            return 0.0
        times = clock_of(self.network)
        nulls = max(self.begun_epoch - self.base.height, 0)
        until = times.begins(self.origin, nulls)
        if nulls and self.origin != self.base.timestamp:
            # The chain has a clock of its own: an epoch begins when its head is seen, so that must be soon.
            until = self.origin + (1 - POLL_SHARE) * times.epoch_s
        return min(max(until - time.time(), 0.0), TURN_S)

    async def _miners_read(self) -> None:
        """Read who mines on which network, and the pool's nodes as they are now."""
        miners, network, links = await blocks_database(mining_read)
        if miners and not self.miners:
            self._leases_due = 0.0
        self.miners = miners
        if network is not None:
            self.network = network
            if self._pool_nodes is None or self._links != links:
                self._links, self._pool_nodes = links, BlockNodes(links[0], submit=links[1])
        self._read_at = time.monotonic()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        """Run a round beside the turns: a slow one holds up no other."""
        task = asyncio.create_task(work)
        self.rounds.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.rounds.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("round_failed", exc_info=error)

    async def _round(self, nodes: BlockNodes, network: Network, clock_: EpochClock, nulls: int) -> None:
        """Run the round of every miner at one epoch."""
        assert self.base is not None
        assert self.providers is not None
        base, epoch = self.base, self.base.height + nulls + 1
        # No base below the height from which the pool has a miner: another program may have built on it.
        heights = (base.height + 1, epoch)
        miners = [one for one in self.miners if all(map(one.row.works_at, heights))]
        times = clock_.times(self.origin, nulls)
        found = await blocks_database_retry(rounds_read, [one.row for one in miners], epoch=epoch)
        context = RoundContext(
            epoch=epoch,
            base=base,
            times=times,
            nodes=nodes,
            providers=self.providers,
            selection=MessageSelection(
                nodes,
                drawing=len(miners),
                gather_s=GATHER_SHARE * network.epoch_s,
                until=times.block_time,  # from then on a block without messages is better than a late one
            ),
            network_version=network.version_at(base.height),
        )
        rounds = [MinerRound(one, context, found=found.get(one.row.pk)) for one in miners]
        results = await asyncio.gather(*(one.run() for one in rounds), return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                log.error("miner_round_failed", epoch=epoch, exc_info=result)
        lost = [row for row in results if row is not None and not isinstance(row, BaseException)]
        await blocks_database_retry(rounds_record, lost)

    def _chores_begin(self) -> None:
        """Look after blocks and old rounds, in a thread of its own, one at a time."""
        if self._chores is None or self._chores.done():
            now = time.monotonic()
            if now - self._settled_at > SETTLE_S:
                self._settled_at = now
                is_old = now - self._summed_at > SUM_UP_S
                self._summed_at = now if is_old else self._summed_at
                self._chores = asyncio.create_task(self._chores_do(is_old))

    async def _chores_do(self, sums_up: bool) -> None:
        try:
            self._settled_key = await blocks_database(
                chores_do, sums_up=sums_up, settled_key=self._settled_key
            )
        except (OperationalError, InterfaceError, NodeUnavailable, NodeRefused, NetworkUnknown) as error:
            self._warn("blocks_not_settled", str(error))
        except Exception:  # whatever one pass brings, the next is tried
            log.exception("blocks_not_settled")

    def _leases_begin(self) -> None:
        """Renew the miners' leases of F3 beside the rounds, or note that none is asked for."""
        is_free = self._leases is None or self._leases.done()
        if is_free and time.monotonic() >= self._leases_due:
            self._leases = asyncio.create_task(self._leases_renew())

    async def _leases_renew(self) -> None:
        wait_s = NO_LEASES_S
        try:
            epoch_s = LEASES_S if self.network is None else self.network.epoch_s
            if await finality_database(leases_renew):
                wait_s = min(epoch_s / 2, LEASES_S)
        except (OperationalError, InterfaceError) as error:
            wait_s = LEASES_S
            self._warn("database_away", str(error).strip())
        except Exception:  # whatever one pass brings, the next is tried
            log.exception("f3_not_renewed")
        self._leases_due = time.monotonic() + wait_s

    def _beat(self, detail: str) -> None:
        if time.monotonic() - self._beaten_at > HEARTBEAT_EVERY_S:
            self._beaten_at = time.monotonic()
            heartbeat_send(
                detail=gettext_noop("{detail}, {count} miners").format(detail=detail, count=len(self.miners))
                if self.miners
                else detail
            )

    def _warn(self, event: str, reason: str) -> None:
        """Log why no blocks are made, each reason once until another comes."""
        if (event, reason) != self._last_warning:
            self._last_warning = (event, reason)
            log.warning(event, reason=reason[:300])


def clock_of(network: Network) -> EpochClock:
    """Return when the rounds of a network begin."""
    return EpochClock(network.epoch_s, network.propagation_delay_s, network.is_devnet)
