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
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final

from poolsite.devnet.access import Access
from poolsite.devnet.baseinfo import BaseInfos
from poolsite.devnet.beacon import Beacon
from poolsite.devnet.chain import Chain
from poolsite.devnet.clock import Clock, WallClock
from poolsite.devnet.consensus import Executed, Rules, tipset_execute
from poolsite.devnet.estimation import Estimator
from poolsite.devnet.faults import Faults
from poolsite.devnet.filters import Filters
from poolsite.devnet.forks import reorg
from poolsite.devnet.genesis import GenesisConfig, genesis_state, genesis_tipset
from poolsite.devnet.genesis_bundle import GenesisBundle
from poolsite.devnet.genesis_config import (
    BrokenChain,
    genesis_store,
    key_read,
    meta_read,
    settings_make,
    settings_read,
)
from poolsite.devnet.housekeeping import Housekeeper
from poolsite.devnet.mempool import Mempool
from poolsite.devnet.participation import Participation
from poolsite.devnet.presealed.sector import presealed_sector
from poolsite.devnet.production import BuiltInMiner, FullBlock
from poolsite.devnet.proofs import ProofChecks
from poolsite.devnet.remembered_calls import RememberedCalls
from poolsite.devnet.rpc.dispatch import PERMS
from poolsite.devnet.search import Search
from poolsite.devnet.selection import messages_select
from poolsite.devnet.signatures import Signatures
from poolsite.devnet.store import PRUNE_DEPTH, BlockRow, Store
from poolsite.devnet.validation import Validator
from poolsite.devnet.wallet import Wallet
from poolsite.filecoin.address import id_address
from poolsite.filecoin.block import BlockHeader, Tipset, TipsetKey, tipset_new
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.keys import key_address, key_export
from poolsite.filecoin.message import signed_message_to_cbor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from poolsite.devnet.chain import Link
    from poolsite.devnet.profile import Profile
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.message import SignedMessage

log = logging.getLogger(__name__)

HeadWatcher = Callable[[list[Tipset], list[Tipset]], None]
"""Called with the tipsets that were reverted (downwards) and applied (upwards)."""

REPLAYED: Final = 5
"""Tipsets that are executed again at start, to know that the file is whole."""
MIN_WAIT_S: Final = 0.005
MAX_WAIT_S: Final = 0.25
"""Shortest and longest wait of the mining thread, which also looks for a stop and for faults."""
MAX_NULL_ROUNDS: Final = 100
"""Lost elections in a row after which mining gives up and says so."""


class Devnet:
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
        self.clock: Clock = clock or WallClock()
        self.store = Store(path, dictionary=presealed_sector().winning_post(bytes(32)))
        self.lock = threading.RLock()
        self.watchers: set[HeadWatcher] = set()
        self._frozen: Tipset | None = None
        self.forward: Callable[[SignedMessage], None] | None = None
        """Passes pushed messages on to the node that this one follows."""
        self.nulls = 0
        self.calls = RememberedCalls()
        is_new = settings_make(self.store, network, profile, bundle)
        self.network, self.profile = settings_read(self.store)
        self.rules = Rules(self.network, self.profile, ProofChecks())
        self.beacon = Beacon(key_read(self.store, "beacon"), salted=self.profile.null_free)
        self.key = key_read(self.store, "miner")
        kept = self.profile.finality_keeps * self.network.chain_finality + REPLAYED
        self.chain = Chain(self.store, kept_states=kept)
        if is_new:
            self._genesis_make(bundle, funds or {})
        self.chain.load()
        self.clock.not_before(self.head.tipset.min_timestamp)
        self.signatures = Signatures(self.network.eth_chain_id)
        self.mempool = Mempool(self.chain, self.rules, self.signatures)
        self.mempool.load()
        self.wallet = Wallet(self.store, self.key)
        self.access = Access(meta_read(self.store, "secret"), open_perms=open_perms)
        self.base_infos = BaseInfos(self.chain, self.beacon, self.rules)
        self.validator = Validator(self.chain, self.base_infos, self.rules, signatures=self.signatures)
        self.estimator = Estimator(self.chain, self.mempool, self.rules)
        self.search = Search(self.chain)
        self.participation: Participation | None = None
        """Leases of fast finality; None: this node has none."""
        self.faults = Faults(self.store, self.shown_frozen, wall_seconds=self.clock.wall_seconds)
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
        if not is_new:
            self._replay()

    def _genesis_make(self, bundle: GenesisBundle | None, funds: Mapping[Address, int]) -> None:
        """Store the first tipset: another node's, or a new one."""
        if bundle is not None:
            genesis_store(self.store, bundle.tipset, bundle.state)
            return
        wish = GenesisConfig(owner=key_address(self.key), funds=funds, timestamp=int(self.clock.now()))
        state = genesis_state(wish, presealed_sector(), self.rules)
        genesis_store(self.store, genesis_tipset(state, wish, self.beacon, self.rules), state)

    def finality_start(self) -> None:
        """Have this node take part in fast finality (F3) for miners that ask it to."""
        issuer = hashlib.sha256(self.access.secret).hexdigest()  # the same after a restart, as a peer ID is
        self.participation = Participation(network=f"{self.network.name}/1", issuer=issuer)

    def genesis_bundle(self) -> GenesisBundle:
        """Return what another node needs to follow this chain."""
        genesis = self.chain.genesis.tipset
        return GenesisBundle(
            network=self.network.name,
            profile=self.profile.to_bytes(),
            beacon=key_export(self.beacon.key),
            tipset=genesis,
            state=self.chain.state_after(genesis.key),
        )

    def _replay(self) -> None:
        """Execute the newest tipsets again: their roots must come out as stored.  Raises BrokenChain."""
        newest = islice(self.chain.ancestors(self.chain.head.tipset), REPLAYED)
        for tipset in reversed(list(newest)):  # a state is read from the one before it
            if tipset.parents.is_empty:
                continue
            stored = self.chain.link(tipset.key)
            again = tipset_execute(self.chain, tipset, self.rules).link
            if (again.root, again.receipts_root) != (stored.root, stored.receipts_root):
                raise BrokenChain(f"the state after epoch {tipset.height} does not match its messages")

    def close(self) -> None:
        """Stop and close the file."""
        self.stop()
        with self.lock:
            self.store.close()

    @property
    def head(self) -> Link:
        """The head of the chain."""
        return self.chain.head

    @property
    def is_ready(self) -> bool:
        """Whether the chain has a head."""
        return self.chain.has_head

    def tipset(self, key: tuple[Cid, ...]) -> Tipset:
        """Return a tipset by key, the head for the empty one.  Raises NoTipset."""
        return self.head.tipset if not key else self.chain.link(TipsetKey(key)).tipset

    def state(self, key: tuple[Cid, ...] = ()) -> State:
        """Return the state that nodes show for a tipset: the one it builds on.  Raises NoTipset."""
        return self.chain.state_before(self.tipset(key))

    def block_submit(self, full: FullBlock, *, now: float | None = None) -> bool:
        """Check a block and let it join; False if it was known.

        `now`: time that counts instead of the clock's, for branches that are made on purpose.
        Raises BadBlock, NoTipset (unknown parent).
        """
        with self.lock:
            block = full.block
            if self.store.block(block.cid.data) is not None:
                return False
            parent = self.chain.link(TipsetKey(block.header.parents))
            at = self.clock.now() if now is None else now
            self.validator.check(block, parent, messages=(full.bls, full.others), now=at)
            self._block_join(full)
            return True

    def slashing_witness(self, header: BlockHeader) -> Cid | None:
        """Another block of the miner for the same epoch or the same parents, that would make this a fault."""
        parents = b"".join(cid.data for cid in header.parents)
        for row in self.store.blocks_of_miner(header.height, parents):
            other = from_cbor(BlockHeader, row.header)
            if other.miner == header.miner and other.cid != header.cid:
                return other.cid
        return None

    def _block_join(self, full: FullBlock) -> None:
        """Store a valid block and move the head if its tipset is the heaviest."""
        header = full.block.header
        row = BlockRow(
            cid=header.cid.data,
            height=header.height,
            parents=b"".join(cid.data for cid in header.parents),
            header=to_cbor(header),
            bls=b"".join(cid.data for cid in full.block.bls_messages),
            secpk=b"".join(cid.data for cid in full.block.secpk_messages),
        )
        messages = [(signed.cid.data, signed_message_to_cbor(signed)) for signed in (*full.bls, *full.others)]
        self.chain.transactions_index(full.others, chain_id=self.network.eth_chain_id)
        self.store.block_put(row, messages)
        tipset = self._tipset_with(header)
        executed = tipset_execute(self.chain, tipset, self.rules)
        is_heavier = self._is_heavier(executed)
        before = self.head
        self.chain.tipset_add(executed.link, executed.state, executed.write, head=is_heavier)
        if executed.write.snapshot is not None:
            self.store.prune(self.head.height - max(PRUNE_DEPTH, 10 * self.network.chain_finality))
        if is_heavier:
            self._head_moved(before, executed.link)

    def _tipset_with(self, header: BlockHeader) -> Tipset:
        """Return the block with all its siblings that are known, one of each miner."""
        parents = b"".join(cid.data for cid in header.parents)
        by_miner = {header.miner: header}
        for row in self.store.blocks_beside(header.height, parents):
            if row.cid != header.cid.data:
                sibling = from_cbor(BlockHeader, row.header)
                by_miner.setdefault(sibling.miner, sibling)
        return tipset_new(by_miner.values())

    def _is_heavier(self, executed: Executed) -> bool:
        return executed.link.weight > self.head.weight

    def head_set(self, key: TipsetKey) -> None:
        """Make any executed tipset the head, as ChainSetHead does.  Raises NoTipset."""
        with self.lock:
            link, before = self.chain.link(key), self.head
            self.chain.head_set(link)
            self._head_moved(before, link)

    def _head_moved(self, before: Link, after: Link) -> None:
        """Notify the pool and the watchers of what was reverted and applied."""
        self.nulls = 0
        reverted, applied = self.chain.path(before.tipset, after.tipset)
        self.mempool.head_changed(self._messages_of(reverted), self._messages_of(applied))
        if self._frozen is None:
            for watcher in list(self.watchers):
                watcher(reverted, applied)

    def messages_after(self, link: Link) -> list[SignedMessage]:
        """Return the messages of the best chain after a tipset, and the pending ones."""
        _, newer = self.chain.path(link.tipset, self.head.tipset)
        return self._messages_of(newer) + self.mempool.pending()

    def tipset_of(self, full: FullBlock) -> TipsetKey:
        """Return the key of the tipset that a block that joined is in."""
        return self._tipset_with(full.block.header).key

    @property
    def shown_head(self) -> Tipset:
        """The head that clients see: the chain's, unless it is frozen on purpose."""
        return self._frozen or self.head.tipset

    def shown_frozen(self, is_frozen: bool) -> None:
        """Go on showing the present head, or stop doing so."""
        if is_frozen and self._frozen is None:
            self._frozen = self.head.tipset
        elif not is_frozen:
            self._frozen = None

    def _messages_of(self, tipsets: list[Tipset]) -> list[SignedMessage]:
        return [
            signed
            for tipset in tipsets
            for messages in self.chain.tipset_messages(tipset)
            for _, signed in messages
        ]

    def mine_round(self) -> bool:
        """Advance by one epoch at the clock's time; True if it brought a tipset, False for a null round."""
        with self.lock:
            parent = self.head
            epoch = parent.height + 1 + self.nulls
            least = parent.tipset.min_timestamp + self.network.epoch_s * (epoch - parent.height)
            self.housekeeper.before_round(parent, epoch)
            full = None
            if not self.faults.takes_round():
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
            rest = self.clock.wall_seconds(self.due() - self.clock.now())
            if rest > 0 or self.faults.mining != "auto":
                self._stopping.wait(min(max(rest, MIN_WAIT_S), MAX_WAIT_S))
                continue
            try:
                self.mine_round()
            except Exception:
                # The outermost place of the miner: whatever one epoch brings, the next is tried.
                log.exception("devnet height=%d", self.head.height)
                self._stopping.wait(self.network.epoch_s)

    @property
    def is_wanted(self) -> bool:
        """Whether a message waits for its block, or one in the newest block for its execution."""
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
