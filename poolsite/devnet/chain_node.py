"""A node's chain: its file, its head, its mempool, and the blocks that join it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.devnet.baseinfo import BaseInfos
from poolsite.devnet.beacon import Beacon
from poolsite.devnet.chain import Chain
from poolsite.devnet.clock import Clock, WallClock
from poolsite.devnet.consensus import Executed, Rules, tipset_execute
from poolsite.devnet.genesis import GenesisConfig, genesis_state, genesis_tipset
from poolsite.devnet.genesis_bundle import GenesisBundle
from poolsite.devnet.genesis_config import (
    BrokenChain,
    genesis_store,
    key_read,
    settings_create,
    settings_read,
)
from poolsite.devnet.mempool import Mempool
from poolsite.devnet.presealed.sector import presealed_sector
from poolsite.devnet.proofs import ProofChecks
from poolsite.devnet.signatures import Signatures
from poolsite.devnet.store import PRUNE_DEPTH, Store
from poolsite.devnet.store_rows import BlockRow
from poolsite.devnet.validation import Validator
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.keys import key_address, key_export
from poolsite.filecoin.message import signed_message_to_cbor
from poolsite.filecoin.tipset import Tipset, TipsetKey, tipset_new

if TYPE_CHECKING:
    from poolsite.devnet.executed_tipset import Link
    from poolsite.devnet.production import FullBlock
    from poolsite.devnet.profile import Profile
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.message import SignedMessage

HeadWatcher = Callable[[list[Tipset], list[Tipset]], None]
"""Called with the tipsets that were reverted (downwards) and applied (upwards)."""

REPLAYED: Final = 5
"""Tipsets that are executed again at start, to know that the file is whole."""


class ChainNode:
    """One node that follows its chain; it makes no blocks of its own."""

    def __init__(
        self,
        path: Path | str,
        *,
        network: str = "demo",
        clock: Clock | None = None,
        funds: Mapping[Address, int] | None = None,
        profile: Profile | None = None,
        bundle: GenesisBundle | None = None,
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
        is_new = settings_create(self.store, network, profile, bundle)
        self.network, self.profile = settings_read(self.store)
        self.rules = Rules(self.network, self.profile, ProofChecks())
        self.beacon = Beacon(key_read(self.store, "beacon"), salted=self.profile.null_free)
        self.key = key_read(self.store, "miner")
        cached = self.profile.finality_keeps * self.network.chain_finality + REPLAYED
        self.chain = Chain(self.store, cached_states=cached)
        if is_new:
            self._genesis_store(bundle, funds or {})
        self.chain.load()
        self.clock.not_before(self.head.tipset.min_timestamp)
        self.signatures = Signatures(self.network.eth_chain_id)
        self.mempool = Mempool(self.chain, self.rules, self.signatures)
        self.mempool.load()
        self.base_infos = BaseInfos(self.chain, self.beacon, self.rules)
        self.validator = Validator(self.chain, self.base_infos, self.rules, signatures=self.signatures)
        if not is_new:
            self._replay()

    def _genesis_store(self, bundle: GenesisBundle | None, funds: Mapping[Address, int]) -> None:
        """Store the first tipset: another node's, or a new one."""
        if bundle is not None:
            genesis_store(self.store, bundle.tipset, bundle.state)
            return
        config = GenesisConfig(owner=key_address(self.key), funds=funds, timestamp=int(self.clock.now()))
        state = genesis_state(config, presealed_sector(), self.rules)
        genesis_store(self.store, genesis_tipset(state, config, self.beacon, self.rules), state)

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

    @property
    def head(self) -> Link:
        """The head of the chain."""
        return self.chain.head

    @property
    def is_ready(self) -> bool:
        """Return whether the chain has a head."""
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
            self.validator.check(block, parent, messages=(full.bls, full.secpk), now=at)
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
        messages = [(signed.cid.data, signed_message_to_cbor(signed)) for signed in (*full.bls, *full.secpk)]
        self.chain.transactions_index(full.secpk, chain_id=self.network.eth_chain_id)
        self.store.block_put(row, messages)
        tipset = self._tipset_with(header)
        executed = tipset_execute(self.chain, tipset, self.rules)
        is_heavier = self._is_heavier(executed)
        before = self.head
        self.chain.tipset_add(executed.link, executed.state, executed.write, head=is_heavier)
        if executed.write.snapshot is not None:
            self.store.prune(self.head.height - max(PRUNE_DEPTH, 10 * self.network.chain_finality))
        if is_heavier:
            self._head_notify(before, executed.link)

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
            self._head_notify(before, link)

    def _head_notify(self, before: Link, after: Link) -> None:
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

    def head_freeze(self, is_frozen: bool) -> None:
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
