"""A devnet: one chain with its pool, its built-in miner and its file, usable in-process or served.

    node = Devnet(path, network="test", clock=ManualClock(), funds={address: 10_000 * FIL})
    node.mine_one()          # one tipset (null rounds before it if the miner loses)
    node.advance(10)         # ten epochs
    node.close()

`run` mines by the clock until `stop`; `server.Server(node)` is the ASGI application.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.devnet.access import Access
from poolsite.devnet.chain_node import ChainNode
from poolsite.devnet.estimation import Estimator
from poolsite.devnet.faults import Faults
from poolsite.devnet.filters import Filters
from poolsite.devnet.forks import reorg
from poolsite.devnet.genesis_config import BrokenChain, meta_read
from poolsite.devnet.housekeeping import Housekeeper
from poolsite.devnet.participation import Participation
from poolsite.devnet.presealed.sector import presealed_sector
from poolsite.devnet.production import BuiltInMiner
from poolsite.devnet.remembered_calls import RememberedCalls
from poolsite.devnet.rpc.dispatch import PERMS
from poolsite.devnet.search import Search
from poolsite.devnet.selection import messages_select
from poolsite.devnet.wallet import Wallet
from poolsite.filecoin.address import id_address

if TYPE_CHECKING:
    from poolsite.devnet.clock import Clock
    from poolsite.devnet.executed_tipset import Link
    from poolsite.devnet.genesis_bundle import GenesisBundle
    from poolsite.devnet.profile import Profile
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.message import SignedMessage
    from poolsite.filecoin.tipset import Tipset

log = logging.getLogger(__name__)

MIN_WAIT_S: Final = 0.005
MAX_WAIT_S: Final = 0.25
"""Shortest and longest wait of the mining thread, which also looks for a stop and for faults."""
MAX_NULL_ROUNDS: Final = 100
"""Lost elections in a row after which mining gives up and says so."""


class Devnet(ChainNode):
    """One node with the whole network in it."""

    def __init__(
        self,
        path: Path | str,
        *,
        network: str = "demo",
        clock: Clock | None = None,
        funds: Mapping[Address, int] | None = None,
        profile: Profile | None = None,
        bundle: GenesisBundle | None = None,
        open_perms: Iterable[str] = PERMS,
    ) -> None:
        """Open the chain in `path` (":memory:" for none) or make it; network and funds count then only.

        `bundle`: the genesis of another node's chain, to follow it.  Raises BadStore, BrokenChain.
        """
        super().__init__(path, network=network, clock=clock, funds=funds, profile=profile, bundle=bundle)
        self.calls = RememberedCalls()
        self.wallet = Wallet(self.store, self.key)
        self.access = Access(meta_read(self.store, "secret"), open_perms=open_perms)
        self.estimator = Estimator(self.chain, self.mempool, self.rules)
        self.search = Search(self.chain)
        self.participation: Participation | None = None
        """Leases of fast finality; None: this node has none."""
        self.faults = Faults(self.store, self.head_freeze, wall_seconds=self.clock.wall_seconds)
        self.filters = Filters(self.clock)
        self.filters.watch(self.mempool, self.watchers)
        self.miner = BuiltInMiner(
            id_address(presealed_sector().miner),
            self.key,
            sector=presealed_sector(),
            base_infos=self.base_infos,
            beacon=self.beacon,
        )
        self.housekeeper = Housekeeper(self.chain, self.mempool, faults=self.faults, miner=self.miner)
        self._stopping = threading.Event()

    def finality_start(self) -> None:
        """Begin to take part in fast finality (F3) for miners that ask this node to."""
        issuer = hashlib.sha256(self.access.secret).hexdigest()  # the same after a restart, as a peer ID is
        self.participation = Participation(network=f"{self.network.name}/1", issuer=issuer)

    def close(self) -> None:
        """Stop and close the file."""
        self.stop()
        with self.lock:
            self.store.close()

    def mine_round(self) -> bool:
        """Advance by one epoch at the clock's time; True if it brought a tipset, False for a null round."""
        with self.lock:
            parent = self.head
            epoch = parent.height + 1 + self.nulls
            least = parent.tipset.min_timestamp + self.network.epoch_s * (epoch - parent.height)
            self.housekeeper.before_round(parent, epoch)
            full = None
            if not self.faults.consume_null_round():
                full = self.miner.round(
                    parent,
                    epoch,
                    messages=self._chosen(parent, epoch),
                    timestamp=max(least, int(self.clock.now() - self.faults.beacon_late_s)),
                )
            if full is None:
                self.nulls += 1
                return False
            self.block_submit(full)
            if self.faults.flaps():
                reorg(self, 1, with_messages=True)
            return True

    def _chosen(self, parent: Link, epoch: int) -> list[SignedMessage]:
        return messages_select(
            self.faults.visible(self.mempool.pending(), epoch),
            self.chain.state_after(parent.key),
            base_fee=parent.next_base_fee,
        )

    def mine_one(self) -> Tipset:
        """Advance to the next tipset; a manual clock is moved on.  Returns the new head."""
        for _ in range(MAX_NULL_ROUNDS):
            self.clock.not_before(self._due())
            if self.mine_round():
                return self.head.tipset
        raise BrokenChain(f"no block in {MAX_NULL_ROUNDS} epochs: the built-in miner has too little power")

    def mine(self, tipsets: int) -> Tipset:
        """Advance until there are so many more tipsets; returns the head."""
        for _ in range(tipsets):
            self.mine_one()
        return self.head.tipset

    def advance(self, epochs: int) -> Tipset:
        """Advance by at least so many epochs; returns the head."""
        target = self.head.height + epochs
        while self.head.height < target:
            self.mine_one()
        return self.head.tipset

    def null_rounds(self, count: int) -> None:
        """Make the next epochs null rounds on purpose."""
        with self.lock:
            self.nulls += count

    def run(self) -> None:
        """Mine one epoch after the other by the clock until `stop`.

        An epoch is due one delay after the last one; after a pause it is due at once, and the chain goes on
        from there: it never makes up for the time that it stood still.
        """
        while not self._stopping.is_set():
            if self.faults.mining == "on-demand" and self.is_wanted:
                self.mine_one()
                continue
            if self.faults.mining == "paused":
                self._stopping.wait(MAX_WAIT_S)
                continue
            remaining_s = self.clock.wall_seconds(self.due() - self.clock.now())
            if remaining_s > 0 or self.faults.mining != "auto":
                self._stopping.wait(min(max(remaining_s, MIN_WAIT_S), MAX_WAIT_S))
                continue
            try:
                self.mine_round()
            except Exception:
                # The outermost place of the miner: whatever one epoch brings, the next is tried.
                log.exception("devnet height=%d", self.head.height)
                self._stopping.wait(self.network.epoch_s)

    @property
    def is_wanted(self) -> bool:
        """Return whether a message waits for its block, or one in the newest block for its execution."""
        with self.lock:
            head = self.head
            waits = any(self.chain.tipset_messages(head.tipset)) or self._chosen(head, head.height + 1)
        return bool(waits)

    def due(self) -> float:
        """Chain time at which the next epoch's block is made."""
        return self._due() + self.faults.beacon_late_s

    def _due(self) -> float:
        """Chain time of the next epoch."""
        head = self.head.tipset
        return head.min_timestamp + self.network.epoch_s * (1 + self.nulls)

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()
