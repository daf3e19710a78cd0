"""The block tree and its best chain: tipsets, the states after them, walks along ancestors."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.ledger import resolve
from poolsite.devnet.executed_tipset import Link, NoTipset
from poolsite.devnet.state.tables import EMPTY_STATE, State, state_changed
from poolsite.devnet.store import BadStore
from poolsite.devnet.store_rows import row_decode
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.cids import Cid, cid_from_bytes
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.ethereum import transaction_hash
from poolsite.filecoin.message import Receipt, SignedMessage, receipt_from_cbor, signed_message_from_cbor
from poolsite.filecoin.sigtypes import SIG_DELEGATED
from poolsite.filecoin.tipset import Tipset, TipsetKey, tipset_key_from_bytes, tipset_new

if TYPE_CHECKING:
    from poolsite.devnet.state.tables import Key
    from poolsite.devnet.store import Store
    from poolsite.devnet.store_rows import BlockRow, TipsetWrite
    from poolsite.filecoin.address import Address


class ChainStates:
    """The states of a chain; reads are safe from any thread."""

    def __init__(self, store: Store, *, limit: int) -> None:
        self.store, self.limit = store, limit
        self._states: OrderedDict[bytes, State] = OrderedDict()
        self._lock = threading.Lock()

    def after(self, key: TipsetKey) -> State:
        """Return the state after executing a tipset.  Raises NoTipset."""
        pending: list[bytes] = []
        data = bytes(key)
        while True:
            with self._lock:
                state = self._states.get(data)
            rows = [] if state is not None else self.store.snapshot(data)
            if rows is not None:
                break
            row = self.store.tipset(data)
            if row is None:
                raise NoTipset(first_unknown(self.store, tipset_key_from_bytes(data)))
            pending.append(data)
            data = row.parents
        if rows or pending or state is None:
            steps = (self.store.changes(step) for step in reversed(pending))
            state = state_changed(state or EMPTY_STATE, _newest(rows, *steps))
        self.cache(bytes(key), state)
        return state

    def cache(self, key: bytes, state: State) -> None:
        """Cache a state that will soon be read."""
        with self._lock:
            self._states[key] = state
            self._states.move_to_end(key)
            while len(self._states) > self.limit:
                self._states.popitem(last=False)


def first_unknown(store: Store, key: TipsetKey) -> Cid:
    """Return the first block of a tipset that is not stored."""
    for cid in key.cids:
        if store.block(cid.data) is None:
            return cid
    return key.cids[0] if key.cids else Cid(b"")


def _newest(
    *steps: list[tuple[str, Key, bytes | None]],
) -> dict[str, dict[Key, tuple[object, bytes] | None]]:
    """Return the last form of each row that the steps change: only that one is decoded."""
    last: dict[str, dict[Key, bytes | None]] = {}
    for rows in steps:
        for table, key, data in rows:
            last.setdefault(table, {})[key] = data
    return {
        table: {
            key: None if data is None else (row_decode(table, key, data), data) for key, data in rows.items()
        }
        for table, rows in last.items()
    }


CID_BYTES: Final = 38
TIPSETS_CACHED: Final = 512
"""Tipsets that stay in memory."""
MESSAGES_CACHED: Final = 20_000


class Chain:
    """All executed tipsets; reads are safe from any thread."""

    def __init__(self, store: Store, *, cached_states: int) -> None:
        self.store = store
        self.lock = threading.RLock()
        self.states = ChainStates(store, limit=cached_states)
        self._links: OrderedDict[bytes, Link] = OrderedDict()
        self._messages: OrderedDict[bytes, SignedMessage] = OrderedDict()
        self._keys: dict[int, bytes] = {}
        self._head: Link | None = None

    @property
    def head(self) -> Link:
        """The heaviest executed tipset."""
        if self._head is None:
            raise BadStore("the chain has no head")
        return self._head

    @property
    def has_head(self) -> bool:
        return self._head is not None

    @property
    def genesis(self) -> Link:
        """The first tipset."""
        return self.link(tipset_key_from_bytes(self._keys[0]))

    def load(self) -> None:
        """Read the best chain from the store.  Raises BadStore."""
        key = self.store.meta("head")
        if key is None:
            return
        self._keys = dict(self.store.chain_keys(key))
        self._head = self.link(tipset_key_from_bytes(key))

    def link(self, key: TipsetKey) -> Link:
        """Return an executed tipset.  Raises NoTipset."""
        data = bytes(key)
        with self.lock:
            link = self._links.get(data)
            if link is not None:
                self._links.move_to_end(data)
                return link
        row = self.store.tipset(data)
        if row is None:
            raise NoTipset(first_unknown(self.store, key))
        tipset = tipset_new([self.header(cid) for cid in key.cids])
        link = Link(
            tipset,
            row.weight,
            cid_from_bytes(row.root),
            cid_from_bytes(row.receipts_root),
            row.next_base_fee,
        )
        self._remember(link)
        return link

    def _remember(self, link: Link) -> None:
        with self.lock:
            self._links[bytes(link.key)] = link
            while len(self._links) > TIPSETS_CACHED:
                self._links.popitem(last=False)

    def header(self, cid: Cid) -> BlockHeader:
        """Return a block's header.  Raises NoTipset."""
        row = self.store.block(cid.data)
        if row is None:
            raise NoTipset(cid)
        return from_cbor(BlockHeader, row.header)

    def message(self, cid: Cid) -> SignedMessage | None:
        """Return a message that was ever in a block or in the pool, by its CID on chain."""
        with self.lock:
            found = self._messages.get(cid.data)
        if found is not None:
            return found
        data = self.store.message(cid.data)
        if data is None:
            return None
        signed = signed_message_from_cbor(data)
        self.message_cache(signed)
        return signed

    def message_cache(self, signed: SignedMessage) -> None:
        """Cache a message that will soon be read."""
        with self.lock:
            self._messages[signed.cid.data] = signed
            while len(self._messages) > MESSAGES_CACHED:
                self._messages.popitem(last=False)

    def transactions_index(self, messages: Iterable[SignedMessage], *, chain_id: int) -> None:
        """Index the messages that are Ethereum transactions by their hashes."""
        rows = [
            (transaction_hash(signed.message, signed.signature, chain_id=chain_id), signed.cid.data)
            for signed in messages
            if signed.signature.type == SIG_DELEGATED
        ]
        if rows:
            self.store.transactions_put(rows)

    def message_of(self, data: bytes) -> SignedMessage | None:
        """Return a message by the bytes of its CID."""
        return self.message(Cid(data))

    def sender_id(self, address: Address) -> int | None:
        """Actor id of a sender in the head's state."""
        return resolve(self.state_after(self.head.key), address)

    def block_messages(self, cid: Cid) -> tuple[list[SignedMessage], list[SignedMessage]]:
        """Return a block's BLS messages and its others, in order.  Raises NoTipset."""
        row = self.store.block(cid.data)
        if row is None:
            raise NoTipset(cid)
        return self._messages_of(row.bls), self._messages_of(row.secpk)

    def _messages_of(self, cids: bytes) -> list[SignedMessage]:
        found = []
        for cid in cids_split(cids):
            signed = self.message(cid)
            if signed is None:
                raise NoTipset(cid)
            found.append(signed)
        return found

    def tipset_messages(self, tipset: Tipset) -> list[list[tuple[Cid, SignedMessage]]]:
        """Return what each block adds, BLS first, without the messages of earlier blocks of the tipset."""
        seen: set[Cid] = set()
        blocks = []
        for cid in tipset.cids:
            row = self.store.block(cid.data)
            if row is None:
                raise NoTipset(cid)
            names = [*cids_split(row.bls), *cids_split(row.secpk)]
            new = [name for name in names if name not in seen]
            seen.update(new)
            blocks.append([(name, self._message_or_fail(name)) for name in new])
        return blocks

    def _message_or_fail(self, cid: Cid) -> SignedMessage:
        signed = self.message(cid)
        if signed is None:
            raise NoTipset(cid)
        return signed

    def receipts(self, key: TipsetKey) -> list[Receipt]:
        """Receipts of a tipset's messages, in the order of `tipset_messages`."""
        return [receipt_from_cbor(data) for data in self.store.receipts(bytes(key))]

    def parent(self, tipset: Tipset) -> Link | None:
        """Return the parent, None at genesis."""
        return None if tipset.parents.is_empty else self.link(tipset.parents)

    def ancestors(self, tipset: Tipset) -> Iterator[Tipset]:
        """Yield the tipset, its parent, and so on to genesis."""
        at: Tipset | None = tipset
        while at is not None:
            yield at
            link = self.parent(at)
            at = None if link is None else link.tipset

    def path(self, old: Tipset, new: Tipset) -> tuple[list[Tipset], list[Tipset]]:
        """Tipsets to revert, downwards, and to apply, upwards, from one head to another."""
        reverted: list[Tipset] = []
        applied: list[Tipset] = []
        while old.key != new.key:
            if old.height > new.height:
                reverted.append(old)
                old = self.link(old.parents).tipset
            elif new.height > old.height:
                applied.append(new)
                new = self.link(new.parents).tipset
            else:
                reverted.append(old)
                applied.append(new)
                old, new = self.link(old.parents).tipset, self.link(new.parents).tipset
        return reverted, applied[::-1]

    def is_canonical(self, tipset: Tipset) -> bool:
        """Return whether the best chain goes through it."""
        return self._keys.get(tipset.height) == bytes(tipset.key)

    def at_height(self, height: int, base: Tipset, *, after: bool = False) -> Tipset:
        """Return the ancestor of `base` at a height; for a null round the one before it, or after it."""
        newer = base
        for tipset in self._from_near(height, base):
            if tipset.height == height:
                return tipset
            if tipset.height < height:
                return newer if after else tipset
            newer = tipset
        return newer

    def _from_near(self, height: int, base: Tipset) -> Iterator[Tipset]:
        """Ancestors of `base`, starting a little above `height` if the best chain leads there."""
        at = base
        while not self.is_canonical(at):
            yield at
            if at.height <= height or at.parents.is_empty:
                return
            at = self.link(at.parents).tipset
        start = at.height
        near = height
        while near < start and near not in self._keys:
            near += 1
        if near < start:
            yield at
            at = self.link(tipset_key_from_bytes(self._keys[near])).tipset
        yield from self.ancestors(at)

    def state_after(self, key: TipsetKey) -> State:
        """Return the state after executing a tipset.  Raises NoTipset."""
        return self.states.after(key)

    def state_before(self, tipset: Tipset) -> State:
        """Return the state that a tipset builds on, which nodes show for its key."""
        return self.state_after(tipset.key if tipset.parents.is_empty else tipset.parents)

    def tipset_add(
        self,
        link: Link,
        state: State,
        write: TipsetWrite,
        *,
        head: bool,
        block: tuple[BlockRow, list[tuple[bytes, bytes]]] | None = None,
    ) -> None:
        """Store an executed tipset, perhaps as the new head."""
        self.store.tipset_put(write, head=head, block=block)
        self._remember(link)
        self.states.cache(bytes(link.key), state)
        if head:
            self._head_set(link)

    def head_set(self, link: Link) -> None:
        """Make an executed tipset the head."""
        self.store.head_put(bytes(link.key))
        self._head_set(link)

    def _head_set(self, link: Link) -> None:
        with self.lock:
            at: Link | None = link
            new_keys: dict[int, bytes] = {}
            while at is not None and self._keys.get(at.height) != bytes(at.key):
                new_keys[at.height] = bytes(at.key)
                at = self.parent(at.tipset)
            base = -1 if at is None else at.height
            if self._head is not None:
                for height in range(base + 1, self._head.height + 1):
                    self._keys.pop(height, None)
            self._keys.update(new_keys)
            self._head = link


def cids_split(data: bytes) -> list[Cid]:
    """Concatenated CIDs of chain objects."""
    return [Cid(data[at : at + CID_BYTES]) for at in range(0, len(data), CID_BYTES)]
